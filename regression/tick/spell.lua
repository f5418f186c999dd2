-- In a batch run the timer goes by the energies' time: at multiples of `every`, from the first energy on.
return {
  every = "1m",
  topic = "in",
  cast = function(event, envelope)
    state.seen = (state.seen or 0) + 1
    print("cast", time.format(envelope.time, "%T"), event.n)
  end,
  tick = function(now)
    print("tick", time.format(now, "%T"), now == time.now(), state.seen)
    if state.seen == 3 then
      return { ["$topic"] = "minute", seen = state.seen }
    end
  end,
}
