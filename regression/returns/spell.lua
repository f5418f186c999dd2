-- What cast may return.
return {
  topic = "in",
  cast = function(event)
    local function out(n)
      return { ["$topic"] = "out." .. event.kind, n = n }
    end
    if event.kind == "nothing" then return end
    if event.kind == "nil" then return nil end
    if event.kind == "one" then return out(1) end
    if event.kind == "several" then return out(1), out(2), out(3) end
    if event.kind == "holes" then return nil, out(1), nil, out(2), nil end
    if event.kind == "list" then return { out(1), out(2) } end
    if event.kind == "lists" then return { out(1) }, nil, out(2), { out(3), out(4) } end
    if event.kind == "emit" then
      emit(out(1))
      emit({ out(2), out(3) })
      return out(4) -- what was emitted comes first
    end
    if event.kind == "same" then
      event["$topic"] = "out.same"
      return event, event
    end
    if event.kind == "empty" then return { ["$topic"] = "out.empty" } end
  end,
}
