"""Whether a scan is of the kind that a model knows."""
