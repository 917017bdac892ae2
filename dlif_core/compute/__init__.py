"""Clusters of workers, and the memory that they need."""
