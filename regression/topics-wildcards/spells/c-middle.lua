return { topic = "a.*.c", cast = function(_, envelope) print("a.*.c  ", envelope.topic) end }
