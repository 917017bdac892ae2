"""Prediction of the whole-blood curve of a scan: features, tissue networks, unmixing, refinement, correction, ensemble."""
