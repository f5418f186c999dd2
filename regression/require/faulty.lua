error("this module fails")
