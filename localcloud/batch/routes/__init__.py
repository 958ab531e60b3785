"""Which request goes to which function."""
