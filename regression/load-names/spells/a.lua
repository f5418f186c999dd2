return { name = "same", cast = function() end }
