-- Cleans what the networks report, and says how strong it was.
--
--   quake  ->  quake.clean   earthquakes, classified
--          ->  quake.blast   explosions and quarry blasts: made by people, so kept apart
--          ->  nothing       records without a magnitude or a place on the map

-- The first class whose bound lies above the magnitude.
local CLASSES = {
  { below = 4, name = "minor" },
  { below = 5, name = "light" },
  { below = 6, name = "moderate" },
  { below = math.huge, name = "strong" },
}

local function class_of(magnitude)
  for _, class in ipairs(CLASSES) do
    if magnitude < class.below then
      return class.name
    end
  end
end

-- "37km NNE of Amboy, Washington" is near "Amboy", in "Washington". Some places are named otherwise:
-- "South of the Fiji Islands" is a region, and near nothing.
local function locate(place)
  local near, region = place:match("^%d+km %u+ of (.+), (.-)$")
  if near then
    return near, region
  end
  near = place:match("^%d+km %u+ of (.+)$")
  return near, near or place
end

-- The networks write the same state in two ways.
local STATES = { CA = "California", NV = "Nevada", AK = "Alaska", HI = "Hawaii" }

return {
  topic = "quake",

  -- A table filter is tested on the stored bytes: what it rejects never enters Lua.
  filter = { mag = { exists = true }, ["geometry.coordinates"] = { exists = true } },

  cast = function(event)
    -- A list in an energy is a list in Lua, so it can be unpacked.
    local longitude, latitude, depth = table.unpack(event.geometry.coordinates)
    local near, region = locate(event.place)

    local clean = {
      id = event.id,
      magnitude = event.mag,
      place = event.place,
      near = near,
      region = STATES[region] or region,
      network = event.network,
      latitude = latitude,
      longitude = longitude,
      depth_km = depth,
      felt = event.felt or 0, -- a null is an absent field
      tsunami = event.tsunami == 1,
    }

    -- An output says by its `$` keys where it goes. Its time is that of its input.
    if event.kind == "earthquake" then
      clean["$topic"] = "quake.clean"
      clean.class = class_of(event.mag)
    else
      clean["$topic"] = "quake.blast"
      clean.kind = event.kind
    end
    return clean
  end,
}
