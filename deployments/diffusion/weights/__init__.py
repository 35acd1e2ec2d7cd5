"""Where weights lie, how they are loaded, and whether they fit together."""
