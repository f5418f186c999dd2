return {
  topic = "in",
  nulls = true,
  cast = function(event)
    print("nulls = true", event.x, event.x == null, event.absent, not event.x, type(null), event.deep.y)
    event["$topic"] = "out.yes"
    event.added = null
    event.gone = nil
    return event
  end,
}
