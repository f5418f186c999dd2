return { lanes = 4, every = "1s", cast = function() end }
