"""`darkroom clean`: remove what is no longer wanted, after saying what that is."""
