return { filter = { ["deep.er.x"] = { ge = 2 } }, cast = function(event) print("deep", event.id) end }
