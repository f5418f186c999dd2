return {
  cast = function(event) print("cast") end,
  unprepare = function() print("a: last words") emit{ a = 1 } end,
}
