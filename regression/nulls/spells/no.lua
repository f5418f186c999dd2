-- Without `nulls`, a null in a map is an absent field; in a list it is `null`.
return {
  topic = "in",
  cast = function(event)
    print("nulls = false", event.x, event.list[1], event.list[2] == null, #event.list, event.deep.y)
    event["$topic"] = "out.no"
    return event
  end,
}
