-- Deep, wide and long, up to the limits.
return {
  topic = "in",
  limits = { event_bytes = "4MiB" },
  cast = function(event)
    local deep = { bottom = true }
    for _ = 1, 61 do deep = { deep } end
    local wide = {}
    for i = 1, 2000 do wide["key" .. i] = i end
    local text = ("0123456789"):rep(10000)
    print(#text, hash.crc32(msgpack.encode(wide)), event.wide and #event.list)
    if not event.wide then
      local list = {}
      for i = 1, 1000 do list[i] = i end
      return { ["$topic"] = "in", wide = wide, deep = deep, length = #text, list = list }
    end
    local level, at = 0, event.deep
    while type(at) == "table" and at[1] do level, at = level + 1, at[1] end
    print("depth", level, at.bottom)
  end,
}
