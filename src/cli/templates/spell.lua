-- {NAME}: what it does, in one line.

---@type Spell
return {
  topic = "orders.>",                 -- which energies it draws on
  filter = { amount = { gt = 50 } },  -- a cast happens for those only

  cast = function(event, envelope)
    print(("%s: %d"):format(envelope.topic, event.amount))
    state.total = (state.total or 0) + event.amount
    return { ["$topic"] = "alerts", amount = event.amount, total = state.total }
  end,
}
