return { name = "renamed", cast = function(event) error("and I?") end, fault = "skip" }
