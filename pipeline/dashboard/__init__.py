"""The page at /api/dashboard: what it is made of, and what it asks. Bounded work, whatever the containers hold."""
