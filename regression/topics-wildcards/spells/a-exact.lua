return { topic = "a.b", cast = function(_, envelope) print("a.b    ", envelope.topic) end }
