return {
  cast = function()
    for _, text in ipairs{ "", "abc", "\0\xff", ("x"):rep(1000) } do
      print(#text, hash.blake3(text), hash.sha256(text), hash.crc32(text))
    end
    print(pcall(hash.sha256), pcall(hash.blake3, {}))
    for _, text in ipairs{ "", "f", "fo", "foo", "\xfb\xff\xfe" } do
      local plain, url = base64.encode(text), base64.encode(text, "url")
      print(plain, url, base64.decode(plain) == text, base64.decode(url, "url") == text)
    end
    print(base64.decode("Zg"), base64.decode("Zg=="), base64.decode("Zg==", "url"))
    print(pcall(base64.decode, "Z"))
    print(pcall(base64.decode, "Zm9v!"))
    print(pcall(base64.decode, "+/+/", "url"))
    print(pcall(base64.encode, "x", "web"))
  end,
}
