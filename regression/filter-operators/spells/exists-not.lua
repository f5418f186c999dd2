return { filter = { n = { exists = false } }, cast = function(event) print("exists not", event.id) end }
