-- Neither side has to come in order: an order waits until `late` has passed, and then gets the row of its time.
local prices = sanctum.table{ name = "prices", late = "10s" }

local function show(list)
  for _, pair in ipairs(list) do
    print(pair.key, pair.time // 1000, pair.value, pair.row, pair.late and "late" or "")
  end
end

return {
  every = "30s",
  cast = function(event, envelope)
    if event.price then
      show(prices:set(event.item, nil, event.price > 0 and event.price or nil))
    else
      show(prices:join(event.item, envelope.time, event.order))
    end
  end,
  tick = function(now)
    show(prices:advance(now))
    print("tick", now // 1000, "late", prices:late())
  end,
  unprepare = function()
    print("at 10", prices:get("tea", 10000), "at 24", prices:get("tea", 24000), "at 70", prices:get("tea", 70000))
    show(prices:close())
    print("rows", sanctum.bucket("table.prices"):count())
  end,
}
