return { name = "a", cast = function(event, envelope) print("second", envelope.position) return nil end }
