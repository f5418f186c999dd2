-- Content that is too large for an energy: the energy carries its digest.
return {
  topic = "in",
  cast = function(event)
    local digest = blob.put(("text %d "):format(event.n):rep(1000))
    print("put", digest == hash.blake3(("text %d "):format(event.n):rep(1000)), #blob.get(digest))
    return { ["$topic"] = "stored", ["$content"] = digest, n = event.n }
  end,
}
