-- A spell without `nulls` may still set one.
return {
  topic = "in",
  cast = function(event)
    return { ["$topic"] = "out.set", x = null, list = { null, 1, null } }
  end,
}
