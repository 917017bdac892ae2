"""Clusters of workers, the work on them, and the memory that they need."""
