return { filter = { n = { ge = 5, lt = 7.5 } }, cast = function(event) print("ge 5 lt 7.5", event.id) end }
