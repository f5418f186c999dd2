-- N:M: two kinds of energies become one, when both are there, whichever comes first.
return {
  topic = { "order", "payment" },
  lane = "order",
  cast = function(event, envelope)
    state[envelope.topic] = event
    if state.order and state.payment then
      local done = {
        ["$topic"] = "paid",
        ["$stream"] = "order-" .. event.order,
        order = event.order,
        rest = state.order.amount - state.payment.amount,
      }
      state.order, state.payment = nil, nil
      return done
    end
  end,
}
