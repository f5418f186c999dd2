return { topic = "a.>", cast = function(_, envelope) print("a.>    ", envelope.topic) end }
