-- What is emitted is taken as it is at that moment; it may come from coroutines, callbacks and loops.
return {
  topic = "in",
  cast = function(event)
    local out = { ["$topic"] = "out", n = 1 }
    emit(out)
    out.n = 2
    emit(out)
    out.n = 3
    coroutine.wrap(function()
      emit(out)
      coroutine.yield()
    end)()
    string.gsub("a b", "%a", function(letter) emit{ ["$topic"] = "out", letter = letter } end)
    table.sort({ 2, 1 }, function(a, b) emit{ ["$topic"] = "out", a = a, b = b } return a < b end)
    local ok = pcall(function()
      emit{ ["$topic"] = "out", from = "a pcall that fails" }
      error("caught")
    end)
    print(ok, pcall(emit), pcall(emit, 5), pcall(emit, { ["$hops"] = 1 }))
    emit{}
    emit({ { ["$topic"] = "out", list = 1 }, { ["$topic"] = "out", list = 2 } })
    emit(array{})
  end,
}
