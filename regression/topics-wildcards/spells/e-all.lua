return { topic = ">", cast = function(_, envelope) print(">      ", envelope.topic) end }
