return { "x", cast = function() end }
