local seeds = {}
for _, kind in ipairs{ "instructions", "a pcall around", "a coroutine", "pattern", "memory", "string", "depth", "outputs",
    "event", "print" } do
  seeds[#seeds + 1] = { ["$topic"] = "in", kind = kind }
end
return seeds
