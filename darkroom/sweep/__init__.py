"""`darkroom sweep`: find what events missed."""
