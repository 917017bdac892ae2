"""Simulated scans with known truth."""
