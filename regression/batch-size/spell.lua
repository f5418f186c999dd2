-- The last batch is smaller: it is cast at the end of the run. An output's cause is the last member.
return {
  topic = "in",
  batch = { size = 3 },
  cast = function(events, envelopes)
    local names = {}
    for i, event in ipairs(events) do
      names[i] = event.name .. "@" .. envelopes[i].position
    end
    print(#events, table.concat(names, " "))
    return { ["$topic"] = "out", names = names }
  end,
}
