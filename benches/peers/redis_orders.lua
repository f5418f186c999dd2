#!lua name=orders
-- Redis Functions: one FCALL per order; what is large goes to a stream, and is counted in a hash.
local function big(keys, args)
  local order = cjson.decode(args[1])
  if order.amount > 50 then
    order.tax = order.amount * 0.19
    redis.call("XADD", keys[1], "MAXLEN", "~", 1000, "*", "order", cjson.encode(order))
    redis.call("HINCRBY", keys[2], order.user, 1)
  end
end

local function answer(keys)
  local users, orders, squares = 0, 0, 0
  for _, text in ipairs(redis.call("HVALS", keys[1])) do
    local n = tonumber(text)
    users, orders, squares = users + 1, orders + n, squares + n * n
  end
  return string.format("users=%d orders=%d squares=%d", users, orders, squares)
end

redis.register_function("big", big)
redis.register_function("answer", answer)
