return "a seed"
