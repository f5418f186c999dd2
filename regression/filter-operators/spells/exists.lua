return { filter = { n = { exists = true } }, cast = function(event) print("exists", event.id) end }
