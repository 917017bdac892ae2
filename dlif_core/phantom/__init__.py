"""Simulated scans with known truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlif_core.lazy import lazy_attribute

if TYPE_CHECKING:
    from dlif_core.phantom.circulation import CirculatingBlood, Circulation, CirculationRanges
    from dlif_core.phantom.coarse import CoarseScan, simulate_coarse
    from dlif_core.phantom.cohort import read_truth, write_cohort
    from dlif_core.phantom.faults import FAULTS, simulate_fault, simulate_fault_coarse
    from dlif_core.phantom.injection import Injection, MixedBlood
    from dlif_core.phantom.mouse import Mouse, draw_mouse
    from dlif_core.phantom.population import HELD_OUT, HUMAN, TRAINING, Draw, Population, draw
    from dlif_core.phantom.scanner import Grid, Protocol
    from dlif_core.phantom.simulation import SimulatedScan, Truth, simulate
    from dlif_core.phantom.span import Span
    from dlif_core.phantom.tracers import TRACERS, Tracer

_HOME = {
    "CirculatingBlood": "circulation",
    "Circulation": "circulation",
    "CirculationRanges": "circulation",
    "CoarseScan": "coarse",
    "Draw": "population",
    "FAULTS": "faults",
    "Grid": "scanner",
    "HELD_OUT": "population",
    "HUMAN": "population",
    "Injection": "injection",
    "MixedBlood": "injection",
    "Mouse": "mouse",
    "Population": "population",
    "Protocol": "scanner",
    "SimulatedScan": "simulation",
    "Span": "span",
    "TRACERS": "tracers",
    "TRAINING": "population",
    "Tracer": "tracers",
    "Truth": "simulation",
    "draw": "population",
    "draw_mouse": "mouse",
    "read_truth": "cohort",
    "simulate": "simulation",
    "simulate_coarse": "coarse",
    "simulate_fault": "faults",
    "simulate_fault_coarse": "faults",
    "write_cohort": "cohort",
}

__all__ = [
    "FAULTS",
    "HELD_OUT",
    "HUMAN",
    "TRACERS",
    "TRAINING",
    "CirculatingBlood",
    "Circulation",
    "CirculationRanges",
    "CoarseScan",
    "Draw",
    "Grid",
    "Injection",
    "MixedBlood",
    "Mouse",
    "Population",
    "Protocol",
    "SimulatedScan",
    "Span",
    "Tracer",
    "Truth",
    "draw",
    "draw_mouse",
    "read_truth",
    "simulate",
    "simulate_coarse",
    "simulate_fault",
    "simulate_fault_coarse",
    "write_cohort",
]


def __getattr__(name: str) -> Any:
    """Import torch only when something is simulated."""
    return lazy_attribute(__name__, _HOME, name)
