-- A seed may compute, and require modules beside it.
local names = require("names")
local list = {}
for i, name in ipairs(names) do
  list[i] = { ["$topic"] = "listed." .. name, ["$stream"] = "s", ["$tags"] = { name = name }, from = "list.lua", n = i }
end
return list
