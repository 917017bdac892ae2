"""Clusters, blocks and memory."""
