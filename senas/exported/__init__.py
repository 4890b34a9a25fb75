"""An SE configuration to take away: readable YAML beside weights that no code has to be trusted for."""
