-- Calls out the earthquakes that somebody should know of.
--
--   quake.clean  ->  quake.alert
--
-- The runeset may lower or raise the bar, see runesets/quakes.yaml:
--
--   spells:
--     - path: ../spells/quakes/alerts.lua
--       runes: { magnitude: 6 }

-- From the most to the least urgent.
local LEVELS = {
  { from = 6.0, level = "red" },
  { from = 5.0, level = "orange" },
  { from = 0.0, level = "yellow" },
}

local threshold = 4.5

return {
  topic = "quake.clean",

  -- Called once, before the first energy, with the runes of this spell.
  prepare = function(runes)
    threshold = runes.magnitude or threshold
  end,

  -- A filter may be a function, where a table cannot say it.
  filter = function(event)
    return event.magnitude >= threshold or event.tsunami
  end,

  cast = function(event, envelope)
    local level
    for _, candidate in ipairs(LEVELS) do
      if event.magnitude >= candidate.from then
        level = candidate.level
        break
      end
    end
    return {
      ["$topic"] = "quake.alert",
      ["$tags"] = { level = level or "yellow" },
      quake = event.id,
      level = level or "yellow",
      magnitude = event.magnitude,
      place = event.place,
      at = time.format(envelope.time, "%Y-%m-%d %H:%M"),
      tsunami = event.tsunami,
    }
  end,
}
