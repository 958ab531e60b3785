"""Azure on one machine: storage (Azurite), events, the functions host, Batch."""
