return { name = "z", topic = "in", cast = function(event) print("tenth, path order is by bytes") return { ["$topic"] = "out", by = "10" } end }
