"""Readers of scans."""
