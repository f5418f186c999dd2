local seeds = {}
for _, topic in ipairs{ "a", "b", "a.b", "a.c", "a.b.c", "a.b.d", "A.b", "a-1.b_2.$x" } do
  seeds[#seeds + 1] = { ["$topic"] = topic }
end
seeds[#seeds + 1] = { note = "without a topic" }
return seeds
