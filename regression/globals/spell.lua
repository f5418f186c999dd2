-- Globals and upvalues are the VM's: a cache. Another spell does not see them.
counter = 0
local co = coroutine.wrap(function()
  local n = 0
  while true do
    n = n + 1
    coroutine.yield(n)
  end
end)

return {
  topic = "in",
  cast = function(event)
    counter = counter + 1
    print(counter, co(), _G.counter, rawget(_G, "other"))
  end,
}
