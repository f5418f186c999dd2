-- A batch whose cast faults is recorded whole, energy by energy.
return {
  topic = "orders",
  batch = { size = 3, within = "10s" },
  fault = "quarantine",
  cast = function(list)
    print("batch", #list)
    for _, order in ipairs(list) do
      if order.amount < 0 then error("an order below zero: " .. order.amount) end
    end
  end,
}
