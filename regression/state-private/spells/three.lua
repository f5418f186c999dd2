-- While a file is loaded there is no state; in prepare and unprepare there is.
local ok, message = pcall(function() return state.x end)
return {
  prepare = function() print("prepare", ok, message) state.x = "from prepare" end,
  cast = function(event) print("cast", state.x) state.y = "from cast" end,
  unprepare = function() print("unprepare", state.x, state.y) end,
}
