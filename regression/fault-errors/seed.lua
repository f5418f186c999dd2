local seeds = {}
for _, kind in ipairs{ "text", "text without place", "caller", "lines", "number", "nil", "boolean", "table", "object",
    "looping object", "bytes", "assert", "assert alone", "call", "arithmetic", "concat", "compare", "global", "argument",
    "caught", "xpcall", "coroutine", "tail" } do
  seeds[#seeds + 1] = { ["$topic"] = "in", kind = kind }
end
return seeds
