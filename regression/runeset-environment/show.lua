return {
  prepare = function(runes)
    for _, name in ipairs{ "plain", "quoted", "within", "literal" } do
      print(name, math.type(runes[name]) or type(runes[name]), runes[name])
    end
  end,
  cast = function() end,
}
