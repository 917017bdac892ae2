"""Prediction of the whole-blood curve of a scan: features, networks, unmixing, refinement, correction, ensemble."""
