"""Every interleaving, crash and lost answer of the real protocol code, up to a small bound."""
