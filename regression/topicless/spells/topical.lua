return { topic = ">", cast = function(event) print("never") end }
