error("a file whose name begins with _ is no spell")
