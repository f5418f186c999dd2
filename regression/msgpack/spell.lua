local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x "):format(c:byte()) end))
end

return {
  cast = function(event)
    for _, value in ipairs{ 0, 127, 128, 255, 256, 65535, 65536, 4294967296, math.maxinteger, -1, -32, -33, -128, -129,
        -32769, math.mininteger, 1.0, 0.5, true, false, null, "", "é", "\xff", ("x"):rep(31), array{}, {}, { 1, 2 },
        { [1] = "a", [2] = "b", x = 1 }, { b = 1, a = 2, [10] = 0, [-1] = 0, [true] = 0, [1.5] = 0 } } do
      print(math.type(value) or type(value), hex(msgpack.encode(value)))
    end
    -- The same data gives the same bytes, in whichever order it was made.
    local a, b = { x = 1, y = { 1, 2 } }, { y = { 1, 2 } }
    b.x = 1
    print(msgpack.encode(a) == msgpack.encode(b))
    print(msgpack.decode("\xcd\x00\x05"), "a longer form than need be")
    print(msgpack.decode("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "u64 beyond i64")
    print(msgpack.decode("\xca\x3f\x80\x00\x00"), "a 32 bit float")
    local ext = msgpack.decode("\xd6\x05abcd")
    print(type(ext), hex(msgpack.encode(ext)), "an extension passes through")
    for _, bytes in ipairs{ "", "\x92\x01", "\x01\x02", "\xc1", "\xdd\xff\xff\xff\xff", ("\x91"):rep(65) .. "\x01",
        "\x81\xcb\x7f\xf8\0\0\0\0\0\0\x01", "\x81\x90\x01" } do
      print(pcall(msgpack.decode, bytes))
    end
    print(pcall(msgpack.decode), pcall(msgpack.encode))
    return { ["$topic"] = "out", ext = ext, list = { ext } }
  end,
  topic = "in",
}
