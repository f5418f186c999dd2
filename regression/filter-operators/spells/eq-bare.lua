return { filter = { flag = true, s = "banana" }, cast = function(event) print("flag and banana", event.id) end }
