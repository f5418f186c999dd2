return { a = require("circle.a") }
