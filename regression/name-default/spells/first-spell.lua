-- Without `name` a spell is called as its file is.
return { cast = function(event) error("who am I?") end, fault = "skip" }
