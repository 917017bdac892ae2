"""Interfile images, such as STIR writes them."""
