local text = "never ends
return { cast = function() end }
