-- Orders with the customer as it was when they were placed; without `late` nothing waits.
local customers = sanctum.table{ name = "customers", topic = "joined" }

return {
  topic = { "customer", "order" },
  cast = function(event, envelope)
    if event["$topic"] == "customer" then
      return customers:set(event.id, envelope.time, not event.gone and { name = event.name } or nil)
    end
    return customers:join(event.customer, envelope.time, { order = event.order })
  end,
  unprepare = function()
    local one = customers:get(1)
    print("late", customers:late(), "one", one and one.name, "two", customers:get(2), "left", #customers:close())
  end,
}
