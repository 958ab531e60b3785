"""`darkroom demo`: a local cloud of its own, images dropped into it, and every PNG checked to the pixel."""
