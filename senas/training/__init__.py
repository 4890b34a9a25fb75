"""Training, with Lightning: data modules, the task, and evaluators that turn jobs into results."""
