"""What runs on a node: fetch, decode, encode, store."""
