"""Proof under faults: a proxy that harms traffic, an explorer of interleavings, and seeded rounds on real processes."""
