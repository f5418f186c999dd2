return { cast = function(_, envelope) print("no topic", envelope.topic) end }
