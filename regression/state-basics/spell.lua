-- Reading, writing and deleting; a value is a copy; every kind of value and of key.
return {
  topic = "in",
  cast = function(event)
    if event.step == 1 then
      print("absent", state.x, state["x y"], state:get("x"), state:get("x", "default"))
      state.x = 1
      state["x y"] = 2
      print("written", state.x, state["x y"], state:get("x", "default"))
      state.n = 5
      state.n = nil
      print("nil deletes", state.n, state:delete("n"))
      print("delete", state:delete("x"), state:delete("x"), state.x)

      -- Keys that are names of methods are written with `set`.
      state:set("count", "a key")
      print("count", state:get("count"), type(state.count), state:count())
      print("methods are not overwritten", pcall(function() state.count = 1 end))
    elseif event.step == 2 then
      print("remembered", state["x y"], state:get("count"))
      state.user = { name = "Ada", tags = { "a", "b" } }
      local user = state.user
      user.name = "Grace"
      print("a copy", state.user.name)
      state.user = user
      print("stored", state.user.name, state.user.tags[2])
    else
      local values = { 1, -1, 1.5, "text", "\xff\xfe", true, false, math.mininteger, math.maxinteger, null,
        array{}, {}, { 1, { 2 } }, { a = { b = 1 } } }
      for i, value in ipairs(values) do
        state[i] = value
        print(i, type(value), json.encode(state[i]))
      end
      print("false is a value", state[7], state:get(7, "default"))
    end
  end,
}
