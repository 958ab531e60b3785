"""`darkroom fetch`: download PNGs."""
