"""Check whether a scan is of the kind that a model was made for."""
