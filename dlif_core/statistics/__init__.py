"""Cohort statistics."""
