"""Recorders: what people see of a study, in MLflow; all of it can be rebuilt from the study itself."""
