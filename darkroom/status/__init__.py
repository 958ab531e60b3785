"""`darkroom status`: the whole at a glance."""
