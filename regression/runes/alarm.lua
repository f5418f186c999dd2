local threshold

return {
  topic = "load.>",
  prepare = function(given)
    threshold = given.threshold or 0
    print("prepare", json.encode(given), given == runes, runes.threshold)
  end,
  cast = function(event, envelope)
    if event.value > threshold then
      print(threshold, envelope.topic, event.value, runes.words and table.concat(runes.words, " "))
    end
  end,
}
