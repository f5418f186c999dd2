return { lanes = 2, cast = function() end }
