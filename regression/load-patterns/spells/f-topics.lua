return { topic = { "a..b", "a.>.b", "", "a b" }, cast = function() end }
