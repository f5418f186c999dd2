return { filter = { n = { eq = 5 } }, cast = function(event) print("eq 5", event.id) end }
