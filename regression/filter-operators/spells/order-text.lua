return { filter = { s = { ge = "apricot" } }, cast = function(event) print("ge apricot", event.id) end }
