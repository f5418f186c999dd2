return { filter = { s = { ["in"] = { "apple", "banana", 5 } } }, cast = function(event) print("in", event.id) end }
