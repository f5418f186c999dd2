-- What came in, by country: hour by hour as energies, and in all as a table when the run ends.
--
--   order.accepted, order.rejected  ->  revenue.hourly, standard output

local money = require("shared.money")

local hourly = window.tumbling{ size = "1h", fold = "sum", topic = "revenue.hourly" }
local totals = sanctum.bucket("totals")

return {
  topic = { "order.accepted", "order.rejected" },

  cast = function(order, envelope)
    if envelope.topic == "order.rejected" then
      local why = #order.missing > 0 and "no " .. table.concat(order.missing, ", no ") or "nothing in it"
      print(("%s  %s  %s  rejected: %s")
        :format(time.format(envelope.time, "%H:%M"), order.order, money.show(order.total), why))
      return
    end
    print(("%s  %s  %s  accepted"):format(time.format(envelope.time, "%H:%M"), order.order, money.show(order.total)))
    totals[order.country] = totals:get(order.country, 0) + order.total

    local complete = hourly:add(order.country, envelope.time, order.total)
    if #complete > 0 then
      return complete
    end
  end,

  unprepare = function()
    print()
    for country, total in pairs(totals) do
      print(("%s  %s"):format(country, money.show(total)))
    end
  end,
}
