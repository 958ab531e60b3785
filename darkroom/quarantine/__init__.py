"""`darkroom quarantine`: images that cannot be converted."""
