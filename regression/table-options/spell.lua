-- What sanctum.table, sanctum.dedupe and sanctum.top refuse.
local t = sanctum.table{ name = "t" }
local d = sanctum.dedupe{ within = 1000 }
local best = sanctum.top{ n = 2 }

return {
  filter = function() return not pcall(t.set, t, 1, 1, 1) and not pcall(d.add, d, 1) and t:get(1) == nil end,
  prepare = function()
    local function refused(...) print(select(2, pcall(...))) end
    refused(sanctum.table)
    refused(sanctum.table, {})
    refused(sanctum.table, { name = "" })
    refused(sanctum.table, { name = "t" })
    refused(sanctum.table, { name = "u", lat = 1 })
    refused(sanctum.table, { name = "u", late = -1 })
    refused(sanctum.table, { name = "u", topic = 1 })
    refused(sanctum.dedupe, {})
    refused(sanctum.dedupe, { within = 0 })
    refused(sanctum.dedupe, { within = "1s" })
    refused(sanctum.top, {})
    refused(sanctum.top, { n = 0 })
    refused(sanctum.top, { n = 1.5 })
    refused(sanctum.top, { n = 2 })
    refused(window.tumbling, { size = 1, top = 0 })
    refused(window.session, { gap = 1, top = 1 })
    refused(window.tumbling, { size = 1, late_topic = true })
    refused(t.set, "x")
    refused(d.add, t)
    refused(best.list)
    refused(t.set, t)
    refused(t.set, t, "key", "soon")
    refused(t.set, t, "key", 1, print)
    refused(best.add, best, "key", "much")
    refused(best.add, best, "key", 0 / 0)
    refused(t.advance, t)
  end,
  cast = function()
    print(select(2, pcall(sanctum.table, { name = "v" })))
    print(select(2, pcall(sanctum.dedupe, { within = 1 })))
    print(select(2, pcall(sanctum.top, { n = 1 })))
  end,
}
