-- Folds, `late`, `advance`, and what is refused.
local kinds = {}
for _, fold in ipairs{ "count", "sum", "min", "max", "first", "last", "list" } do
  kinds[#kinds + 1] = { fold, window.tumbling{ size = "1s", fold = fold, name = fold } }
end
local own = window.tumbling{ size = "1s", name = "own", initial = function() return { n = 0 } end,
  fold = function(acc, value, key) acc.n = acc.n + value acc.key = key end }
local patient = window.tumbling{ size = "1s", late = "2s", name = "patient", fold = "sum" }
local free = window.tumbling{ size = "1s", name = "free" }

return {
  topic = "in",
  cast = function(event, envelope)
    for _, kind in ipairs(kinds) do
      for _, w in ipairs(kind[2]:add("k", envelope.time, event.n)) do print(kind[1], w.start, json.encode(w.value)) end
    end
    own:add({ "x", event.n % 2 }, envelope.time, event.n)
    for _, w in ipairs(patient:add("p", envelope.time, event.n)) do print("patient", w.start, w.value) end
    free:add("f", envelope.time, function(acc) return (acc or 100) + event.n end)
  end,
  unprepare = function()
    for _, kind in ipairs(kinds) do print(kind[1], json.encode(kind[2]:advance(3000))) end
    for _, w in ipairs(own:close()) do print("own", json.encode(w)) end
    print("patient", json.encode(patient:advance(2999)), json.encode(patient:advance(3000)), patient:late())
    print("free", json.encode(free:close()))
  end,
  prepare = function()
    local function refused(...) print("refused", select(2, pcall(...))) end
    refused(window.tumbling)
    refused(window.tumbling, {})
    refused(window.tumbling, { size = 0 })
    refused(window.tumbling, { size = "1 fortnight" })
    refused(window.tumbling, { size = "1s", every = "1s" })
    refused(window.tumbling, { size = "1s", fold = "average" })
    refused(window.tumbling, { size = "1s", fold = "sum" })
    refused(window.hopping, { size = "1s" })
    refused(window.hopping, { size = "1h", every = "1ms" })
    refused(window.session, { gap = "1s", late = "1s", name = "s", fold = function() end })
    refused(window.session, { size = "1s" })
    refused(own.add, "x")
  end,
}
