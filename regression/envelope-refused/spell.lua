-- `$` keys that only the log may set, unknown ones, and values that make no sense. Each names what is allowed.
return {
  topic = "in",
  fault = "skip",
  cast = function(event)
    return { [event.key] = event.value }
  end,
}
