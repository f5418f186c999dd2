return {
  cast = function(event) print("this one is good") end,
}
