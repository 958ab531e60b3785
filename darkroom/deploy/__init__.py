"""Getting Darkroom onto Azure: what the templates load, the worker's package, the checks before, the end after."""
