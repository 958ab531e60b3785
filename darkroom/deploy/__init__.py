"""Getting Darkroom onto Azure: what the templates are fed, the worker's package, the checks before and the end after."""
