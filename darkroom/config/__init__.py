"""`darkroom config`: every setting, its value, where it came from, what is allowed."""
