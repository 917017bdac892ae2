"""Corrections of trained networks, fitted to the blood of simulated animals and to scans with known blood."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.networks.prediction.correction import OFFSET, Correction, ReadCourse, read_course
from dlif_core.networks.prediction.features import COURSE_EDGES
from dlif_core.networks.prediction.predict import align, read_curves
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.training.examples import Example
from dlif_core.networks.training.run import ExampleSource
from dlif_core.networks.training.scan_work import Mapper, in_turn
from dlif_core.phantom import draw
from dlif_core.phantom.population import Source
from dlif_core.scan import is_fdg

Array = NDArray[np.float64]

# step at which blood is computed [s]
_STEP = 1.0
# the bolus has arrived when blood has this part of its peak
_ARRIVED = 0.5


def with_corrections(
    networks: Sequence[TissueNetwork],
    families: Sequence[torch.Tensor],
    examples: ExampleSource,
    mapper: Mapper = in_turn,
) -> list[TissueNetwork]:
    """The networks of an ensemble, each with a correction fitted to the curves that it reads in scans with known blood.

    Parameters
    ----------
    networks
        Trained networks; corrections that they have are replaced.
    families
        Blood of animals, see `Correction.fit`.
    examples
        Some hundreds of scans that the networks have not learned from.
    mapper
        Runs the work on each scan.
    """
    corrected = [deepcopy(network) for network in networks]
    scans = mapper(partial(_cases_of, networks, examples), len(examples))
    for network, cases in zip(corrected, zip(*scans, strict=True), strict=True):
        read, truth = zip(*cases, strict=True)
        network.correction = Correction()
        network.correction.fit(families, read, torch.stack(truth))
    return corrected


def _cases_of(
    networks: Sequence[TissueNetwork], examples: ExampleSource, index: int
) -> list[tuple[ReadCourse, torch.Tensor]]:
    return correction_cases(networks, examples[index])


@torch.no_grad()
def correction_cases(networks: Sequence[TissueNetwork], example: Example) -> list[tuple[ReadCourse, torch.Tensor]]:
    """What each network reads in a scan, and the logarithm of the true activity plus `OFFSET` in every window.

    Windows that the scan lacks have NaN.
    """
    aligned = align(networks, example.scan)
    course = aligned.features.course
    truth = (course.windows @ example.whole_blood + OFFSET).log().where(course.measured, torch.nan)
    cases = []
    for network in networks:
        reading = read_curves(network, aligned)
        cases.append((read_course(reading.unmixed.curves, reading.arterial, course), truth))
    return cases


def blood_families(animals: Iterable[tuple[Source, int]]) -> list[torch.Tensor]:
    """Arterial blood of simulated animals in the windows of the correction, apart by population and by tracer.

    Parameters
    ----------
    animals
        Population and seed of each.

    Returns
    -------
    Logarithm of the activity plus `OFFSET`, each of shape (animals, course windows): of one population the animals
    with FDG, if there are any, then those with other tracers.
    """
    found: dict[tuple[str, bool], list[Array]] = {}
    time = np.arange(0.0, COURSE_EDGES[-1] + 300.0, _STEP)
    for population, seed in animals:
        mouse = draw(seed, population).mouse
        course = _course(time, mouse.blood.curve(time))
        found.setdefault((population.name, not is_fdg(mouse.tracer.name)), []).append(course)
    return [torch.from_numpy(np.stack(found[family])) for family in sorted(found)]


def _course(time: Array, blood: Array) -> Array:
    """Logarithm of the mean of a curve in every window plus `OFFSET`, shape (course windows,)."""
    arrived = time[np.argmax(blood >= _ARRIVED * blood.max())]
    area = np.append(0.0, np.cumsum(blood) * _STEP)
    edges = np.array(COURSE_EDGES) + arrived
    reached = np.interp(edges, np.append(time, time[-1] + _STEP), area)
    return np.asarray(np.log(np.diff(reached) / np.diff(edges) + OFFSET))
