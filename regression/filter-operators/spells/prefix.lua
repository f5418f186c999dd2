return { filter = { s = { prefix = "ap", suffix = "t" } }, cast = function(event) print("ap...t", event.id) end }
