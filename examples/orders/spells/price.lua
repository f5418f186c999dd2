-- Adds up an order, with the tax of its country.
--
--   order.placed  ->  order.priced

local money = require("shared.money") -- spells/shared/money.lua: modules lie below the spells

local vat

return {
  topic = "order.placed",

  -- What the runeset says of this spell.
  prepare = function(runes)
    vat = runes.vat or {}
    vat.default = runes.default or 0
  end,

  cast = function(order)
    local net = 0
    for _, item in ipairs(order.items) do
      net = net + item.count * item.price
    end
    local rate = vat[order.country] or vat.default

    -- The input is this cast's own: change it, and send it on under another topic.
    order["$topic"] = "order.priced"
    order["$stream"] = "order-" .. order.order
    order.net = money.round(net)
    order.tax = money.round(net * rate / 100)
    order.total = money.round(net + order.tax)
    return order
  end,
}
