return {
  prepare = function(runes)
    print("preparing")
    error("not ready")
  end,
  cast = function(event) print("never") end,
}
