"""The population that the shipped model is calibrated on: mice and scanners that differ from those of the training.

Errors grow where a network has to go beyond what it was trained on, and real animals will differ from simulated ones. A
band that was calibrated on scans like those of the training would be too narrow there. So anatomy, resolution and noise
are drawn from the margins on either side of the training's ranges; injections, frames and voxels are the training's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dlif_core.phantom.population import TRAINING, Population
from dlif_core.phantom.span import Span

#: Width of each margin relative to the range it adjoins.
MARGIN = 0.35

_STREAM = 7
_ANATOMY = ("size", "trunk", "tumour", "vena_cava", "aorta", "wall", "turn", "shift", "tilt", "position")
_SCANNER = ("resolution", "heart_resolution", "noise_level")


def margins(span: Span, share: float = MARGIN) -> Span:
    """The intervals on either side of a range, each so much of its width; the probability of a draw stays."""
    ((low, high),) = span.intervals
    reach = share * (high - low)
    return Span((low - reach, low), (high, high + reach), share=span.share, otherwise=span.otherwise)


def _beyond(population: Population) -> Population:
    anatomy, acquisition = population.anatomy, population.acquisition
    body: dict[str, Any] = {name: margins(getattr(anatomy, name)) for name in _ANATOMY}
    scanner: dict[str, Any] = {name: margins(getattr(acquisition, name)) for name in _SCANNER}
    return replace(
        population,
        name="calibration",
        stream=_STREAM,
        anatomy=replace(anatomy, **body),
        acquisition=replace(acquisition, **scanner),
    )


#: Just outside of `TRAINING`, with random numbers of its own.
CALIBRATION = _beyond(TRAINING)
