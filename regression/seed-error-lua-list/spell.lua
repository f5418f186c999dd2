return { cast = function(event) print("cast", event.n) end }
