-- Takes what was ordered from the stock, all of it or nothing.
--
--   order.priced, stock.delivered  ->  order.accepted, order.rejected

return {
  topic = { "order.priced", "stock.delivered" },

  prepare = function(runes)
    for sku, count in pairs(runes.stock or {}) do
      state[sku] = state:get(sku, count) -- after a restart, what is left counts
    end
  end,

  cast = function(event, envelope)
    if envelope.topic == "stock.delivered" then
      state[event.sku] = state:get(event.sku, 0) + event.count
      return
    end

    local missing = array{}
    for _, item in ipairs(event.items) do
      if state:get(item.sku, 0) < item.count then
        missing[#missing + 1] = item.sku
      end
    end

    local answer = {
      ["$stream"] = envelope.stream, -- the order's own
      order = event.order,
      country = event.country,
      total = event.total,
    }
    if #event.items == 0 or #missing > 0 then
      answer["$topic"] = "order.rejected"
      answer.missing = missing
      return answer
    end
    for _, item in ipairs(event.items) do
      state[item.sku] = state[item.sku] - item.count
    end
    answer["$topic"] = "order.accepted"
    return answer
  end,
}
