"""Kinetic models and their fits."""
