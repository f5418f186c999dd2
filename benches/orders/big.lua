-- Stage 1: the large orders, with their tax.
return {
  topic = "orders",
  filter = { amount = { gt = 50 } },
  cast = function(order)
    order.tax = order.amount * 0.19
    order["$topic"] = "orders.big"
    return order
  end,
}
