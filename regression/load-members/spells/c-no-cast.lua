return { name = "idle", topic = "a" }
