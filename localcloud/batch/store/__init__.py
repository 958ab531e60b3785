"""Remembers accounts across restarts."""
