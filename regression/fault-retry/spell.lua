-- A cast is deterministic, so trying it again changes nothing: in a batch run the fault then ends the run.
return {
  topic = "in",
  fault = "retry",
  cast = function(event)
    print("cast", event.n)
    if event.n == 2 then error("again and again") end
  end,
}
