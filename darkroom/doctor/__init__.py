"""`darkroom doctor`: checks settings, containers, permissions, pool, identity, versions before anything runs."""
