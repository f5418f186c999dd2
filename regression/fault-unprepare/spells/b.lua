return {
  cast = function(event) end,
  unprepare = function() print("b: still called") end,
}
