"""`darkroom make-images`: test images, made and dropped."""
