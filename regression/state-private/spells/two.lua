return {
  cast = function(event)
    print("two", state.name, sanctum.bucket("b").name)
    print(pcall(sanctum.bucket))
    print(pcall(sanctum.bucket, ""))
    print(pcall(sanctum.bucket, 5))
    print(pcall(sanctum.bucket, ("x"):rep(1000)))
    print(sanctum.bucket("b") == sanctum.bucket("b"), tostring(state))
  end,
}
