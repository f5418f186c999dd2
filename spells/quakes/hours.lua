-- Counts the earthquakes of each network, hour by hour.
--
--   quake.clean  ->  quake.hourly   { key = network, start =, stop =, value = { count =, strongest = } }
--
-- A window groups by the energies' own time. It is complete, and comes out, when time has passed its end. No
-- clock is asked, so a replay counts the same.

local hourly = window.tumbling{
  size = "1h",
  topic = "quake.hourly",
  initial = { count = 0, strongest = -9.0 },
  fold = function(hour, magnitude)
    hour.count = hour.count + 1
    hour.strongest = math.max(hour.strongest, magnitude)
  end,
}

return {
  topic = "quake.clean",

  cast = function(event, envelope)
    -- Gives the windows that this energy's time completes: none, or one for each network that had any.
    return hourly:add(event.network, envelope.time, event.magnitude)
  end,

  -- Time passes when energies come, and with a timer when none do: so a quiet hour ends as well.
  every = "1h",
  tick = function(now)
    return hourly:advance(now)
  end,
}
