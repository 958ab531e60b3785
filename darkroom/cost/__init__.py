"""`darkroom cost`: what the nodes really did, and what that costs."""
