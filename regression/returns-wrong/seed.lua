local seeds = {}
for _, kind in ipairs{ "text", "number", "boolean", "function", "list of text", "nested list", "list with keys",
    "list with a hole", "cycle", "emit of nothing", "emit of text", "deep" } do
  seeds[#seeds + 1] = { ["$topic"] = "in", kind = kind }
end
return seeds
