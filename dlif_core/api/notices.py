"""Warnings of the public functions."""

from __future__ import annotations

import warnings

from dlif_core.errors import DlifWarning


def warn(messages: tuple[str, ...]) -> None:
    """Give every message as a `DlifWarning` of the line that called the public function."""
    for message in messages:
        warnings.warn(message, DlifWarning, stacklevel=3)
