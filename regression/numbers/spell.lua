-- Integers over the whole range, floats to the bit, bytes, empty arrays and maps: through Lua and back.
return {
  topic = "in",
  cast = function(event)
    for _, name in ipairs{ "max", "min", "big", "huge", "one", "onef", "tiny", "zero", "neg", "exp", "inf", "nan" } do
      print(name, math.type(event[name]), event[name])
    end
    print("array", json.encode(event.array), "map", json.encode(event.map), "bytes", #event.bytes, event.bytes:byte(1, -1))
    event["$topic"] = "same"
    local out = {
      ["$topic"] = "made",
      nan = 0/0, inf = 1/0, minus_inf = -1/0, zero = 0, float_zero = 0.0, minus_zero = -0.0,
      max = math.maxinteger, min = math.mininteger, over = math.maxinteger + 1.0, exact = 2^53,
      bytes = "\x00\xff\x80", text = "e\u{301} \u{1F600}",
      empty = {}, empty_array = array{}, array = { 1, 2, 3 }, made = array{ 1 },
      holes = { 1, nil, 3 }, mixed = { 1, 2, x = 3 }, from_zero = { [0] = "a", "b" }, float_key = { [1.5] = 1, [2.0] = 2 },
      bool_key = { [true] = 1 }, dropped = print, dropped_in = { f = print, x = 1 }, list_with_function = { 1, print, 3 },
      thread = coroutine.create(print),
    }
    return event, out
  end,
}
