"""Azurite, the real storage emulator: started, supervised, and heard when a blob is written."""
