local function make(n)
  return { n = n.value }
end

return { make({ value = 1 }), make(nil) }
