-- As lua.lua, but the event is written as JSON and read again between the stages, as between processes or
-- on a log: `lua5.4 lua-encoded.lua < orders.ndjson`.
local cjson = require("cjson")
local decode, encode = cjson.decode, cjson.encode

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
    count(decode(encode(order)))
  end
end

local users, orders, squares = 0, 0, 0
for _, n in pairs(counts) do
  users, orders, squares = users + 1, orders + n, squares + n * n
end
print(string.format("users=%d orders=%d squares=%d", users, orders, squares))
