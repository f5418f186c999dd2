-- Of each minute the two pages with the most visits; and which it is so far.
local visits = window.tumbling{ size = "1m", fold = "count", top = 2, topic = "best" }
local sizes = window.hopping{ size = "1m", every = "30s", fold = "max", top = 1 }

return {
  topic = "in",
  cast = function(event, envelope)
    for _, w in ipairs(sizes:add(event.page, envelope.time, event.size)) do print("size", w.start, w.key, w.value) end
    return visits:add(event.page)
  end,
  unprepare = function()
    print(json.encode(visits:open()))
    print(#visits:close(), #visits:open(), sanctum.bucket("window.tumbling-1m"):count())
  end,
}
