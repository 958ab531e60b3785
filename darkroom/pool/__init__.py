"""`darkroom pool`: the pool, and the hand on it."""
