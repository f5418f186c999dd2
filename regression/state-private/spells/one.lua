-- Each spell has its own state, and each bucket its own keys.
return {
  cast = function(event)
    state.name = "one"
    sanctum.bucket("b").name = "one in b"
    print("one", state.name, sanctum.bucket("b").name, sanctum.bucket("c").name)
  end,
}
