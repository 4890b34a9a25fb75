"""The search: one loop that joins the ports, and the proposer that drives Optuna."""
