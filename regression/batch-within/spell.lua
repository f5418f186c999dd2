-- A batch is cast when it is full or when its first energy is a second old, whichever is first.
return {
  topic = "in",
  batch = { size = 3, within = "1s" },
  cast = function(events, envelopes)
    local names = {}
    for i, event in ipairs(events) do
      names[i] = event.name
    end
    print(time.now(), table.concat(names, " "))
  end,
}
