-- Integers beyond 64 bits become floats, and one warning says how many.
return { cast = function(event) print(event.n, math.type(event.n)) end }
