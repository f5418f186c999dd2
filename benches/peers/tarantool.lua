-- tarantool tarantool.lua < orders.ndjson: a space per stage, a transaction per 1,000 orders, no WAL.
local json = require("json")
box.cfg({ wal_mode = "none", log_level = 1, work_dir = os.getenv("PEER_DIR") })
local log = box.schema.space.create("big", { temporary = true })
log:create_index("primary")
local counts = box.schema.space.create("counts", { temporary = true })
counts:create_index("primary", { parts = { 1, "string" } })

local function count(_, new)
  counts:upsert({ new[2].user, 1 }, { { "+", 2, 1 } })
end
log:on_replace(count)

local position, waiting = 0, 0
box.begin()
for line in io.lines() do
  local order = json.decode(line)
  if order.amount > 50 then
    order.tax = order.amount * 0.19
    order["$topic"] = "orders.big"
    position = position + 1
    log:insert({ position, order })
  end
  waiting = waiting + 1
  if waiting == 1000 then
    box.commit()
    -- What was counted is consumed.
    log:truncate()
    box.begin()
    waiting = 0
  end
end
box.commit()

local users, orders, squares = 0, 0, 0
for _, row in counts:pairs() do
  users, orders, squares = users + 1, orders + row[2], squares + row[2] * row[2]
end
print(string.format("users=%d orders=%d squares=%d", users, orders, squares))
os.exit(0)
