return { cast = function(event, envelope) print("cast", event.n, envelope.time) end }
