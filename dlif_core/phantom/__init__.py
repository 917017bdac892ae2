"""Simulated scans with known truth."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlif_core.phantom.cohort import read_truth, write_cohort
    from dlif_core.phantom.mouse import Mouse, draw_mouse
    from dlif_core.phantom.scanner import Grid, Protocol
    from dlif_core.phantom.simulation import SimulatedScan, Truth, simulate

_HOME = {
    "Grid": "scanner",
    "Mouse": "mouse",
    "Protocol": "scanner",
    "SimulatedScan": "simulation",
    "Truth": "simulation",
    "draw_mouse": "mouse",
    "read_truth": "cohort",
    "simulate": "simulation",
    "write_cohort": "cohort",
}

__all__ = [
    "Grid",
    "Mouse",
    "Protocol",
    "SimulatedScan",
    "Truth",
    "draw_mouse",
    "read_truth",
    "simulate",
    "write_cohort",
]


def __getattr__(name: str) -> Any:
    """Import torch only when something is simulated."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
