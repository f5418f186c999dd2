-- Filter and cast get the same table, so what a filter adds is there in cast.
return {
  filter = function(event) event.seen = true return true end,
  cast = function(event) if event.n == 1 then print("seen", event.seen) end end,
}
