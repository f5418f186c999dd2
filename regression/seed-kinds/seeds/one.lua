return { from = "one.lua", n = 1, meta = { at = 1000 } }
