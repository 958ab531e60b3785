"""`darkroom run`: convert what is there now."""
