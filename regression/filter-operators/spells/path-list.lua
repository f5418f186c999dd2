return { filter = { ["list.1"] = 1 }, cast = function(event) print("list.1 is 1", event.id) end }
