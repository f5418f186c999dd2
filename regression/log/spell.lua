-- Log lines go to standard error, in the order of the energies; print goes to standard output.
return {
  topic = "in",
  prepare = function() log.info("prepared") end,
  cast = function(event)
    log.debug("debug", event.n)
    log.info("info", 1.5, true, nil, null)
    log.warn("a table", { b = 1, a = { 1, 2 } }, event)
    log.error("two\nlines")
    log.info()
    print("printed", event.n)
  end,
  unprepare = function() log.info("done") end,
}
