-- Keeps the books of the run, and prints them when it ends.
--
--   quake.clean, quake.blast, quake.hourly, quake.alert, quake.swarm  ->  standard output
--
-- Everything is kept in `state`, not in local variables: those may vanish between two casts, and state is
-- undone with its cast when that fails.

local networks = sanctum.bucket("networks") -- network -> statistics of its magnitudes
local regions = sanctum.bucket("regions")   -- region  -> count
local hours = sanctum.bucket("hours")       -- start   -> count, of all networks
local alerts = sanctum.bucket("alerts")     -- { magnitude, id } -> alert: in the order of magnitude
local swarms = sanctum.bucket("swarms")     -- name    -> the last that was heard of it

local function count(bucket, key, by)
  bucket[key] = bucket:get(key, 0) + (by or 1)
end

-- One function for each topic.
local on = {}

on["quake.clean"] = function(event, envelope)
  count(state, event.class)
  count(state, "quakes")
  count(regions, event.region)
  -- Count, mean and extremes, from one small table that grows no larger.
  networks[event.network] = stats.welford(networks[event.network], event.magnitude)
  state.first = state.first or envelope.time
  state.last = envelope.time
  if event.felt > state:get("felt", { felt = 0 }).felt then
    state.felt = event
  end
end

on["quake.blast"] = function(event)
  count(state, event.kind)
end

on["quake.hourly"] = function(event)
  count(hours, event.start, event.value.count)
end

on["quake.alert"] = function(event)
  count(state, event.level)
  alerts[{ event.magnitude, event.quake }] = event
end

on["quake.swarm"] = function(event)
  swarms[event.swarm] = event
end

-- How it looks ---------------------------------------------------------------------------------------

local WIDTH = 78

local function heading(text)
  print()
  print(text)
  print(("─"):rep(WIDTH))
end

local function bar(value, most, width)
  return ("█"):rep(math.max(value > 0 and 1 or 0, math.floor(value / most * width + 0.5)))
end

-- A character for each value: the taller, the more.
local SPARKS = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }

local function sparkline(values, most)
  local line = {}
  for i, value in ipairs(values) do
    line[i] = value == 0 and "·" or SPARKS[math.max(1, math.ceil(value / most * #SPARKS))]
  end
  return table.concat(line)
end

-- Cuts and pads by characters, not bytes.
local function fit(text, width)
  local length = utf8.len(text) or #text
  if length > width then
    return text:sub(1, utf8.offset(text, width) - 1) .. "…"
  end
  return text .. (" "):rep(width - length)
end

-- The `limit` largest of a bucket, as { key, value } pairs.
local function top(bucket, limit, weight)
  local list = {}
  for key, value in pairs(bucket) do
    list[#list + 1] = { key, value }
  end
  table.sort(list, function(a, b)
    local x, y = weight(a[2]), weight(b[2])
    if x ~= y then
      return x > y
    end
    return a[1] < b[1]
  end)
  return table.move(list, 1, math.min(limit, #list), 1, {})
end

local function day(ms)
  return time.format(ms, "%Y-%m-%d")
end

-- "1 explosion", "2 explosions"
local function numbered(value, noun)
  return ("%d %s%s"):format(value, noun, value == 1 and "" or "s")
end

local function overview()
  heading(("EARTHQUAKES, %s to %s"):format(day(state.first), day(state.last)))
  print(("%s, %s, %s"):format(numbered(state.quakes, "earthquake"),
    numbered(state.explosion or 0, "explosion"), numbered(state["quarry blast"] or 0, "quarry blast")))
  for _, class in ipairs{ "minor", "light", "moderate", "strong" } do
    local value = state:get(class, 0)
    print(("  %-10s %5d  %s"):format(class, value, bar(value, state.quakes, 58)))
  end
  local felt = state.felt
  if felt then
    print(("Felt by most: magnitude %.1f, %s, %d reports"):format(felt.magnitude, felt.place, felt.felt))
  end
end

local function per_network()
  heading("NETWORKS                quakes   mean  strongest")
  local rows = top(networks, 12, function(acc) return acc.count end)
  local most = rows[1][2].count
  for _, row in ipairs(rows) do
    local summary = stats.summary(row[2])
    print(("  %-20s %7d  %5.2f  %9.1f  %s")
      :format(row[1], summary.count, summary.mean, summary.max, bar(summary.count, most, 28)))
  end
end

local function per_region()
  heading("REGIONS")
  for _, row in ipairs(top(regions, 8, function(value) return value end)) do
    print(("  %s %5d"):format(fit(row[1], 22), row[2]))
  end
end

-- A line for each day, a character for each hour. The hour in which the data ends is not complete, so
-- its window never came out; it counts for nothing here.
local function per_hour()
  if hours:count() == 0 then
    return
  end
  heading("HOUR BY HOUR (UTC)     0     6     12    18")
  local values = {}
  for _, value in pairs(hours) do
    values[#values + 1] = value
  end
  local most = stats.max(values)
  for start = time.floor(state.first, "24h"), state.last, 24 * 60 * 60 * 1000 do
    local line, total = {}, 0
    for hour = 0, 23 do
      local value = hours:get(start + hour * 60 * 60 * 1000, 0)
      line[hour + 1], total = value, total + value
    end
    print(("  %s           %s  %4d"):format(day(start), sparkline(line, most), total))
  end
  local middle, high = table.unpack(stats.percentile(values, { 50, 95 }))
  print(("  in an hour: %.0f in the middle, %.0f at the 95th percentile, %d at most"):format(middle, high, most))
end

local function strongest()
  if alerts:count() == 0 then
    return
  end
  heading("ALERTS")
  print(("  %d red, %d orange, %d yellow; the strongest:")
    :format(state.red or 0, state.orange or 0, state.yellow or 0))
  -- The keys begin with the magnitude, so the strongest are the last ones.
  for _, alert in alerts:range{ reverse = true, limit = 10 } do
    print(("  %.1f  %-6s  %s  %s%s"):format(alert.magnitude, alert.level, alert.at, alert.place,
      alert.tsunami and "  (tsunami bulletin)" or ""))
  end
end

local function swarming()
  if swarms:count() == 0 then
    return
  end
  heading("SWARMS  from              for  quakes  strongest  near")
  for _, row in ipairs(top(swarms, 10, function(swarm) return swarm.count end)) do
    local swarm = row[2]
    local minutes = (swarm.last - swarm.first) // 60000
    print(("        %s  %02d:%02d  %6d  %9.1f  %s, %s"):format(time.format(swarm.first, "%m-%d %H:%M"),
      minutes // 60, minutes % 60, swarm.count, swarm.strongest, swarm.near, swarm.region))
  end
end

return {
  topic = { "quake.clean", "quake.blast", "quake.hourly", "quake.alert", "quake.swarm" },

  cast = function(event, envelope)
    on[envelope.topic](event, envelope)
  end,

  -- Called once, when the run ends. It can print, and can no longer emit.
  unprepare = function()
    if not state.quakes then
      print("no earthquakes")
      return
    end
    overview()
    per_network()
    per_region()
    per_hour()
    strongest()
    swarming()
    print()
  end,
}
