local seeds = {}
for _, kind in ipairs{ "nothing", "nil", "one", "several", "holes", "list", "lists", "emit", "same", "empty" } do
  seeds[#seeds + 1] = { ["$topic"] = "in", kind = kind }
end
return seeds
