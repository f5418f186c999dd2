-- Keys have an order: false, true, numbers by value, strings bytewise, lists element by element.
return {
  cast = function()
    local keys = { "b", "a", "", "a\0b", "ab", "Z", 10, 9, 2.5, -1, 0, -0.5, math.huge, -math.huge, true, false,
      { 1 }, { 1, 2 }, { 1, "a" }, { 2 }, { "a" }, { true }, {}, { 1, { 2 } }, 9007199254740993, 9007199254740992.0 }
    for _, key in ipairs(keys) do
      local ok, message = pcall(function() state[key] = "x" end)
      if not ok then print("refused", message) end
    end
    for key in pairs(state) do
      print(math.type(key) or type(key), json.encode(key))
    end
    -- 2 and 2.0 are one key.
    state[2] = "int"
    state[2.0] = "float"
    print(state[2], state:count())
    for _, key in ipairs{ 0/0, print, { a = 1 }, { { 1 } } } do
      print(pcall(function() return state[key] end))
    end
    print(pcall(function() return state[nil] end))
    print(pcall(function() return state:get() end))
    print(pcall(function() state.f = print end))
    print(pcall(function() state.nan = { [0/0] = 1 } end))
    print(pcall(function() return state.get("x") end))
  end,
}
