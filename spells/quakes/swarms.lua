-- Finds swarms: five or more earthquakes within an hour, each near the newest.
--
--   quake.clean  ->  quake.swarm   when one begins, and each time it grows
--
-- What lies in the past is found by range queries over `state`, an ordered map: the map is cut into cells
-- of a quarter of a degree, and a key is { row, column, time, id }. So the last hour of a cell is one
-- short range, however much the spell remembers.

local SPAN_MS = 60 * 60 * 1000
local NEAR_KM = 15
local SIZE_MIN = 5
local CELL_DEGREES = 0.25

-- A second map, in the order of time, to forget what is too old: { time, id } -> the key in `state`.
local ages = sanctum.bucket("ages")
-- And one for the swarms: name -> { count =, strongest =, first = }.
local swarms = sanctum.bucket("swarms")

local function cell_of(degrees)
  return math.floor(degrees / CELL_DEGREES)
end

-- Kilometres between two points, by the haversine formula.
local function distance_km(a, b)
  local rad = math.rad
  local lat = math.sin(rad(b.latitude - a.latitude) / 2) ^ 2
  local lon = math.sin(rad(b.longitude - a.longitude) / 2) ^ 2
  local h = lat + math.cos(rad(a.latitude)) * math.cos(rad(b.latitude)) * lon
  return 2 * 6371 * math.asin(math.sqrt(math.min(1, h)))
end

local function forget(before)
  for age, key in ages:range{ to = { before } } do
    state:delete(key)
    ages:delete(age)
  end
end

-- The quakes of the last hour near this one, with the keys they are kept under.
local function neighbours(event, now)
  local found = {}
  local row, column = cell_of(event.latitude), cell_of(event.longitude)
  for r = row - 1, row + 1 do
    for c = column - 1, column + 1 do
      for key, quake in state:range{ from = { r, c, now - SPAN_MS }, to = { r, c + 1 } } do
        if distance_km(event, quake) <= NEAR_KM then
          found[#found + 1] = { key = key, quake = quake }
        end
      end
    end
  end
  return found
end

return {
  topic = "quake.clean",

  cast = function(event, envelope)
    local now = envelope.time
    forget(now - SPAN_MS)

    local near = neighbours(event, now)
    local own = {
      latitude = event.latitude,
      longitude = event.longitude,
      magnitude = event.magnitude,
    }

    local found
    if #near + 1 >= SIZE_MIN then
      -- The swarm that a neighbour belongs to goes on; else one begins here.
      for _, neighbour in ipairs(near) do
        own.swarm = own.swarm or neighbour.quake.swarm
      end
      local begins = own.swarm == nil
      if begins then
        own.swarm = "swarm-" .. event.id
      end

      local swarm = swarms:get(own.swarm, { count = 0, strongest = event.magnitude, first = now })
      local joined = { own }
      for _, neighbour in ipairs(near) do
        if not neighbour.quake.swarm then
          neighbour.quake.swarm = own.swarm
          state[neighbour.key] = neighbour.quake -- a value is a copy: to change it, store it
          joined[#joined + 1] = neighbour.quake
          swarm.first = math.min(swarm.first, neighbour.key[3])
        end
      end
      for _, quake in ipairs(joined) do
        swarm.count = swarm.count + 1
        swarm.strongest = math.max(swarm.strongest, quake.magnitude)
      end
      swarms[own.swarm] = swarm

      found = {
        ["$topic"] = "quake.swarm",
        ["$stream"] = own.swarm, -- each swarm is a stream: its energies are its history
        swarm = own.swarm,
        phase = begins and "begins" or "grows",
        count = swarm.count,
        strongest = swarm.strongest,
        first = swarm.first,
        last = now,
        near = event.near or event.region,
        region = event.region,
      }
    end

    local key = { cell_of(event.latitude), cell_of(event.longitude), now, event.id }
    state[key] = own
    ages[{ now, event.id }] = key
    return found
  end,
}
