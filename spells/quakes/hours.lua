-- Counts the earthquakes of each network, hour by hour.
--
--   quake.clean  ->  quake.hourly   { key = network, start =, stop =, value = { count =, strongest = } }
--
-- A window groups by the energies' own time. It is complete, and comes out, once an energy of a
-- later time arrived, whatever its key: so the hours of all networks end together. No clock is asked, and a
-- replay counts the same.

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
}
