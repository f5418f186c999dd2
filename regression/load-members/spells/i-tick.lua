return { tick = function() end, cast = function() end }
