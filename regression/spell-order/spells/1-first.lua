return { name = "m", topic = "in", cast = function(event) print("first") return { ["$topic"] = "out", by = "1" }, { ["$topic"] = "out", by = "1 again" } end }
