return { name = "a folder with init.lua" }
