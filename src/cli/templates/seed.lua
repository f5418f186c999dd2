-- The energies that start this case.

return {
  { ["$topic"] = "orders.eu", amount = 20 },
  { ["$topic"] = "orders.eu", amount = 70 },
  { ["$topic"] = "orders.us", amount = 90 },
}
