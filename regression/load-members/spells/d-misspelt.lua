return {
  topik = "a",
  cats = function(event) end,
}
