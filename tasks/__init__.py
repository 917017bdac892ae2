"""Thin Prefect tasks over the stages of a study."""
