local settings = nil
local size = settings.size
return { cast = function() end }
