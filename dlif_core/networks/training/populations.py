"""Populations beside `TRAINING`: at the edges of its ranges, and just beyond them.

More than ten properties of a mouse and of a scanner are drawn independently, so that hardly any scan of `TRAINING` is
at the edge of several ranges at once, whereas an animal of another laboratory may well be. A network that is also
trained on scans of the edges has to extrapolate less. Since errors grow beyond the ranges nevertheless, the band is
calibrated there: calibrated on scans like those of the training it would be too narrow for others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from dlif_core.phantom.population import TRAINING, Population
from dlif_core.phantom.span import Span

#: Width of each margin relative to the range it adjoins.
MARGIN = 0.25

#: Part of a range that counts as its edge, on either side.
EDGE = 0.2

_EDGES_STREAM, _CALIBRATION_STREAM = 8, 7
_ANATOMY = ("size", "trunk", "tumour", "vena_cava", "aorta", "wall", "rotation", "shift", "tilt", "position")
_SCANNER = ("resolution", "heart_resolution", "noise_level")


def ends(span: Span, outside: float = 0.0, inside: float = 0.0) -> Span:
    """Intervals at both ends of a range, which reach beyond and into it by these parts of its width."""
    ((low, high),) = span.intervals
    beyond, within = outside * (high - low), inside * (high - low)
    return Span(
        (low - beyond, low + within), (high - within, high + beyond), share=span.share, otherwise=span.otherwise
    )


def _changed(population: Population, change: Callable[[Span], Span]) -> Population:
    """The population with other ranges of anatomy, resolution and noise."""
    anatomy, acquisition = population.anatomy, population.acquisition
    body: dict[str, Any] = {name: change(getattr(anatomy, name)) for name in _ANATOMY}
    scanner: dict[str, Any] = {name: change(getattr(acquisition, name)) for name in _SCANNER}
    return replace(population, anatomy=replace(anatomy, **body), acquisition=replace(acquisition, **scanner))


#: Within `TRAINING`, but at the edges of its ranges.
EDGES = replace(_changed(TRAINING, partial(ends, inside=EDGE)), name="edges", stream=_EDGES_STREAM)

#: Just outside of `TRAINING`.
CALIBRATION = replace(_changed(TRAINING, partial(ends, outside=MARGIN)), name="calibration", stream=_CALIBRATION_STREAM)
