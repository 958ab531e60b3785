"""`darkroom logs`: what a task printed."""
