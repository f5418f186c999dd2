-- The same in every run: seeded by the energy's id. An energy of the same id gives the same numbers.
return {
  cast = function(event, envelope)
    local list = {}
    for i = 1, 8 do list[i] = random(6) end
    print(event.n, table.concat(list, " "))
    print(random(), random(10, 20), random(-5, 5), math.random(100), math.random(3, 3))
    print(random(math.mininteger, math.maxinteger), math.random(0))
    print(uuid(), uuid())
    print(math.randomseed(42), math.random(100))
    local inside = true
    for _ = 1, 1000 do
      local f, d = random(), random(6)
      inside = inside and f >= 0 and f < 1 and d >= 1 and d <= 6
    end
    print(inside, pcall(random, 0), pcall(random, 2, 1), pcall(random, 1, 2, 3))
  end,
}
