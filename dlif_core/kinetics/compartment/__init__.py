"""Compartment models: variable projection for many curves, least squares of single regions."""
