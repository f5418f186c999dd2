return {
  topic = "in.a",
  limits = { outputs = 5 },
  cast = function(event)
    if #event > 0 then
      print("batch of " .. #event)
    else
      print("one", event.n)
    end
    for i = 1, 3 do emit{ ["$topic"] = "out", i = i } end
  end,
}
