-- State is that of the lane key, whatever the number of lanes: each user counts for itself.
return {
  lane = "user",
  lanes = 4,
  cast = function(event, envelope)
    state.sum = (state.sum or 0) + event.n
    local list = state:get("list", array{})
    list[#list + 1] = event.n
    state.list = list
    print(json.encode(event.user or null), state.sum, table.concat(list, " "))
    return { ["$topic"] = "sum", user = event.user, sum = state.sum }, nil
  end,
  topic = "in",
}
