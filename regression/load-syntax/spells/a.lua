return {
  cast = function(event)
    if event.n > 1 the
      print("x")
    end
  end,
}
