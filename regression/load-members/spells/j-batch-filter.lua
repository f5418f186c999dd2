return { batch = { size = 5 }, filter = function() return true end, cast = function() end }
