return {
  nulls = true,
  cast = function(event)
    print(json.encode(event))
    print(json.encode({ b = 1, a = { 1, 2.0, 1e100, -0.0, "x" }, [3] = true, e = array{}, m = {}, n = null }))
    print(json.encode(null), json.encode(nil), json.encode(true), json.encode("é\n\"\\\1\127"), json.encode(1/0))
    print(json.encode("\xff"), json.encode(0/0), json.encode(math.mininteger), json.encode(1e15), json.encode(1e16), json.encode(0.1))
    print(json.encode({ a = { 1, { b = array{}, c = {} } } }, { pretty = true }))
    local back = json.decode('{"b":[1,2.0,1e2,null],"u":"\\u00e9\\ud83d\\ude00","z":-0,"f":{"$float":"inf"},"x":{"$bin":"/w=="},"n":null}')
    print(math.type(back.b[1]), math.type(back.b[2]), math.type(back.b[3]), back.b[4], back.u, back.z, back.f, back.x == "\xff", back.n)
    print(json.decode("5"), #json.decode("[]"), #json.decode("[1,2]"), json.decode('"s"'), json.decode("null"), json.decode(" true "))
    print(json.decode("9223372036854775807"), json.decode("9223372036854775808"), json.decode("-9223372036854775808"))
    print(json.encode(json.decode("[[],{}]")))
    for _, text in ipairs{ "", "{", '{"a":}', "[1,]", "{'a':1}", "nul", "1 2", '"\\x"', "01", "[1\n,,2]", '"\xff"', "{\"a\":1,\"a\":2}" } do
      local ok, result = pcall(json.decode, text)
      print(ok, ok and json.encode(result) or result)
    end
    print(pcall(json.encode, print))
    print(pcall(json.encode, { f = print, g = 1 }))
    local loop = {} loop.loop = loop
    print(pcall(json.encode, loop))
    print(pcall(json.encode))
    print(pcall(json.decode, 5), pcall(json.decode))
    print(pcall(json.encode, 1, { pritty = true }))
  end,
}
