return { { n = 1 }, "two" }
