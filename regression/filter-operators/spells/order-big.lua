-- 2^53 + 1 is no float; it is compared exactly.
return { filter = { n = { gt = 9007199254740992.0 } }, cast = function(event) print("gt 2^53", event.id) end }
