"""`darkroom why`: where an image is, and why nothing happens."""
