return { b = require("circle.b") }
