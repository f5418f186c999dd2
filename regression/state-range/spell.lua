-- An ordered map is a table of rows with an index: ranges of tuples.
local function show(title, options)
  local list = {}
  for key, value in state:range(options) do
    list[#list + 1] = (type(key) == "table" and table.concat(key, ":") or tostring(key)) .. "=" .. value
  end
  print(title, #list, table.concat(list, " "))
end

return {
  cast = function()
    for v = 10, 30, 5 do
      state[{ v, "a" }] = v
      state[{ v, "b" }] = v + 1
    end
    for _, name in ipairs{ "ant", "anteater", "bee", "antler" } do
      state[name] = #name
    end
    show("everything")
    show("v >= 10 and v < 20", { from = { 10 }, to = { 20 } })
    show("from", { from = { 25 } })
    show("to", { to = { 15 } })
    show("from within", { from = { 15, "b" }, to = { 25, "b" } })
    show("prefix of a tuple", { prefix = { 15 } })
    show("prefix of a string", { prefix = "ant" })
    show("limit", { limit = 2 })
    show("limit 0", { limit = 0 })
    show("reverse", { reverse = true, limit = 3 })
    show("reverse range", { from = { 10 }, to = { 20 }, reverse = true })
    show("prefix, reverse, limit", { prefix = "ant", reverse = true, limit = 2 })
    show("prefix and from", { prefix = "ant", from = "antf" })
    show("empty", { from = { 20 }, to = { 10 } })
    -- The map may change while it is read.
    for key in state:range{ prefix = { 10 } } do
      state:delete(key)
    end
    show("after deleting", { to = { 20 } })
    print(state:count())
    print(pcall(function() state:range{ form = 1 } end))
    print(pcall(function() state:range{ limit = -1 } end))
    print(pcall(function() state:range("a") end))
    print(pcall(function() state:range{ prefix = 5 } end))
  end,
}
