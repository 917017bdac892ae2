"""Spectral analysis with non-negative coefficients."""
