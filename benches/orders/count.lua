-- Stage 2: large orders per user. At the end one line that every peer has to print as well.
return {
  topic = "orders.big",
  cast = function(order)
    state[order.user] = (state[order.user] or 0) + 1
  end,
  unprepare = function()
    local users, orders, squares = 0, 0, 0
    for _, count in state:range{} do
      users, orders, squares = users + 1, orders + count, squares + count * count
    end
    print(string.format("users=%d orders=%d squares=%d", users, orders, squares))
  end,
}
