return { hello = "hello from a module" }
