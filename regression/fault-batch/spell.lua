-- A fault in a batch names its last energy; with `skip` the whole batch is passed over.
return {
  batch = { size = 2 },
  fault = "skip",
  cast = function(events)
    if events[1].n == 3 then error("not this batch") end
    print(events[1].n, events[2] and events[2].n)
  end,
}
