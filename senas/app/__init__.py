"""The commands: Hydra configs become values once, here, and everything is wired together."""
