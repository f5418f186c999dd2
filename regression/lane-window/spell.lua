-- In a spell with a lane, each key has windows of its own, with a time of its own.
local w = window.tumbling{ size = "1s", fold = "count", topic = "out" }

return {
  topic = "in",
  lane = "user",
  lanes = 2,
  cast = function(event, envelope)
    for _, done in ipairs(w:add("n", envelope.time)) do
      print(event.user, done.start, done.value)
    end
  end,
}
