-- Shared by the spells of this app, with `require("shared.money")`.
local money = {}

-- To whole cents.
function money.round(amount)
  return math.floor(amount * 100 + 0.5) / 100
end

function money.show(amount)
  return ("%10.2f"):format(amount)
end

return money
