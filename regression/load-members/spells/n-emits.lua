emit{ a = 1 }
return { cast = function() end }
