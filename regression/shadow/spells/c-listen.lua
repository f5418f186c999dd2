return { name = "listen", topic = "sum", cast = function(e) print("sum", e.n) end }
