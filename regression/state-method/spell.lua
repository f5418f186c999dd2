-- `count` is a method of state, and so no key that can be written with a dot.
return {
  cast = function(event)
    state.count = (state.count or 0) + 1
  end,
}
