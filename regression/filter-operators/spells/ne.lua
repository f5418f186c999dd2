return { filter = { n = { ne = 5 } }, cast = function(event) print("ne 5", event.id) end }
