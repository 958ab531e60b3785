"""`darkroom report`: every outcome in one CSV or JSON file, and a summary for people."""
