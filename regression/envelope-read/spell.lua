-- Each field of the envelope. It is read-only, and is gone when its cast ends.
local kept

return {
  topic = { "in", "out" },
  cast = function(event, envelope)
    if kept then
      print("kept", pcall(function() return kept.id end))
      kept = nil
    end
    for name, value in pairs(envelope) do
      print(name, type(value), type(value) == "table" and json.encode(value) or value)
    end
    print("topic in the data", event["$topic"], "id in the data", event["$id"])
    print("unknown", pcall(function() return envelope.postion end))
    print("write", pcall(function() envelope.id = "x" end))
    print("absent", envelope.content)
    print()
    if envelope.hops == 0 then
      kept = envelope
      return { ["$topic"] = "out", ["$tags"] = { a = "b" }, ["$ttl"] = "last:1" }
    end
  end,
}
