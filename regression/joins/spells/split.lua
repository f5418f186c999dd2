-- And one becomes many: a line for each item, and a receipt.
return {
  topic = "paid",
  filter = { rest = { le = 0 } },
  cast = function(event)
    local out = {}
    for i = 1, 2 do
      out[i] = { ["$topic"] = "ship", order = event.order, parcel = i }
    end
    return out, { ["$topic"] = "receipt", order = event.order }
  end,
}
