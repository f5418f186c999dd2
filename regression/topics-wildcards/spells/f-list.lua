-- Once for each energy, however many of its patterns match.
return { topic = { "a.b", "a.*", "b" }, cast = function(_, envelope) print("list   ", envelope.topic) end }
