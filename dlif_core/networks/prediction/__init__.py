"""From a scan to its whole-blood curve: features, tissue networks, unmixing, refinement, correction and ensemble."""
