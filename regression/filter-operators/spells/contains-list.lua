return { filter = { list = { contains = "two" } }, cast = function(event) print("list contains", event.id) end }
