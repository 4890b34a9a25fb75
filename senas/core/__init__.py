"""Values and pure functions: standard library and numpy only."""
