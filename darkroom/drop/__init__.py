"""`darkroom drop`: upload images."""
