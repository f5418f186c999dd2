-- Bare Lua with a JSON parser in C, no engine: `lua5.4 lua.lua < orders.ndjson`, or with `luajit`.
-- The event goes from stage to stage as a table, it is never encoded again. Needs the package lua-cjson.
local decode = require("cjson").decode

local function big(order)
  if order.amount > 50 then
    order.tax = order.amount * 0.19
    order["$topic"] = "orders.big"
    return order
  end
end

local counts = {}
local function count(order)
  counts[order.user] = (counts[order.user] or 0) + 1
end

for line in io.lines() do
  local order = big(decode(line))
  if order then
    count(order)
  end
end

local users, orders, squares = 0, 0, 0
for _, n in pairs(counts) do
  users, orders, squares = users + 1, orders + n, squares + n * n
end
print(string.format("users=%d orders=%d squares=%d", users, orders, squares))
