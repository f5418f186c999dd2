return {
  topic = "stored",
  cast = function(event, envelope)
    local bytes = blob.get(envelope.content)
    print("get", event.n, #bytes, bytes:sub(1, 6))
    print("unknown", blob.get(("0"):rep(64)), pcall(blob.get, "zz"))
    print(pcall(blob.put), pcall(blob.put, {}))
  end,
}
