"""What people see of a run: state, log, artifacts, metrics, and what became of runs that were killed."""
