return { topic = "a..b", cast = function() end }
