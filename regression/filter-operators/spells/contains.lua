return { filter = { s = { contains = "nan" } }, cast = function(event) print("contains nan", event.id) end }
