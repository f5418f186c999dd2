-- Each `$` key that an output may set.
return {
  topic = "in",
  cast = function(event, envelope)
    return {
      ["$topic"] = "out.all",
      ["$stream"] = "user-7",
      ["$id"] = "00000000-0000-4000-8000-000000000007",
      ["$time"] = 1517363399650,
      ["$tags"] = { region = "eu", kind = "test" },
      ["$ttl"] = "time:60000",
      ["$expect"] = "none",
      ["$content"] = hash.blake3("bytes"),
      n = 1,
    }, {
      ["$topic"] = "out.time",
      ["$time"] = "2018-01-31T01:49:59.650Z", -- the same moment
      ["$ttl"] = "last:3",
      ["$expect"] = "any",
      n = 2,
    }, {
      ["$topic"] = "out.version",
      ["$stream"] = "user-7",
      ["$expect"] = 0, -- the version that the first output got
      ["$ttl"] = "forever",
      n = 3,
    }, {
      ["$stream"] = "user-8", -- a stream, and no topic
      n = 4,
    }, {
      ["$topic"] = "out.ephemeral",
      ["$ttl"] = "ephemeral",
      n = 5,
    }
  end,
}
