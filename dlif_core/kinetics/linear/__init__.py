"""Graphical and multilinear methods, and ratios, by batched weighted regression."""
