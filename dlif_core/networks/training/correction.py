"""Corrections of trained networks, fitted to scans with known blood."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.networks.prediction.correction import Correction
from dlif_core.networks.prediction.features import WINDOWS
from dlif_core.networks.prediction.fit_quality import OFFSET, FitDescription, describe
from dlif_core.networks.prediction.predict import align, read_curves
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.training.examples import Example
from dlif_core.networks.training.run import ExampleSource
from dlif_core.networks.training.scan_work import Mapper, in_turn

Array = NDArray[np.float64]

#: Penalty on squared slopes; curves hardly change between 10 and 100 [scans].
RIDGE = 30.0


def with_corrections(
    networks: Sequence[TissueNetwork],
    examples: ExampleSource,
    ridge: float = RIDGE,
    mapper: Mapper = in_turn,
) -> list[TissueNetwork]:
    """The networks of an ensemble, each with a correction fitted to the curves that it reads in scans with known blood.

    Parameters
    ----------
    networks
        Trained networks; corrections that they have are replaced.
    examples
        A thousand scans or more, because the description of a scan has a hundred values.
    ridge
        Penalty on squared slopes, see `Correction.fit`.
    mapper
        Runs the work on each scan.
    """
    corrected = [deepcopy(network) for network in networks]
    scans = mapper(partial(_cases_of, networks, examples), len(examples))
    for network, cases in zip(corrected, zip(*scans, strict=True), strict=True):
        described, logarithm = zip(*cases, strict=True)
        network.correction = Correction()
        network.correction.fit(described, np.stack(logarithm), ridge)
    return corrected


def _cases_of(
    networks: Sequence[TissueNetwork], examples: ExampleSource, index: int
) -> list[tuple[FitDescription, Array]]:
    return correction_cases(networks, examples[index])


@torch.no_grad()
def correction_cases(networks: Sequence[TissueNetwork], example: Example) -> list[tuple[FitDescription, Array]]:
    """Description of a scan for each network, and the logarithm of true over read activity in every window.

    Windows that the scan lacks have NaN.
    """
    aligned = align(networks, example.scan)
    measured = aligned.features.constants[:WINDOWS] > 0
    truth = aligned.features.windows @ example.whole_blood + OFFSET
    cases = []
    for network in networks:
        reading = read_curves(network, aligned)
        blood = (aligned.features.windows @ reading.arterial.curve + OFFSET).clamp(min=0.5 * OFFSET)
        ratio = (truth / blood).log().where(measured, torch.nan)
        cases.append((describe(reading), ratio.double().numpy(force=True)))
    return cases
