return { cast = function() end }
