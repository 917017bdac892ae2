"""Training of networks on simulated scans: examples, populations, splits, resumable runs."""
