local tax = {}

function tax.add(net)
  return net * 1.19
end

function tax.fail()
  local none
  return none.field
end

return tax
