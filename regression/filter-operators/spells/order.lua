return { filter = { n = { gt = 5, le = 7.5 } }, cast = function(event) print("gt 5 le 7.5", event.id) end }
