"""Cohort tables, metrics of curves, agreement, sessions and resampling."""
