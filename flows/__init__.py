"""Prefect flows and the `dlif` command."""
