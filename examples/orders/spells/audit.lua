-- Notes orders that somebody should look at. Which those are, the runeset says: see `filter` there.
local money = require("shared.money")

return {
  topic = "order.priced",
  cast = function(order, envelope)
    log.info("look at", order.order, order.country, money.show(order.total))
    return { ["$topic"] = "order.noted", order = order.order, total = order.total }
  end,
}
