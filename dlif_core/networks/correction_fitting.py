"""Fitting the corrections of trained networks on scans with known blood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.networks.correction import Correction
from dlif_core.networks.description import OFFSET, Described, describe
from dlif_core.networks.examples import Example
from dlif_core.networks.features import WINDOWS
from dlif_core.networks.prediction import read_tissues, see_aligned
from dlif_core.networks.training_run import Source
from dlif_core.networks.weight_map import TissueNetwork

Array = NDArray[np.float64]

#: Penalty on squared slopes; curves hardly change between 10 and 100 [scans].
RIDGE = 30.0


def with_corrections(
    networks: Sequence[TissueNetwork],
    examples: Source,
    ridge: float = RIDGE,
    progress: Callable[[int], None] | None = None,
) -> list[TissueNetwork]:
    """The networks of an ensemble, each with a correction fitted to what it reads in scans with known blood.

    Parameters
    ----------
    networks
        Trained; corrections that they have are replaced.
    examples
        Scans; a thousand or more, for the description of a scan has a hundred numbers.
    ridge
        See `Correction.fit`.
    progress
        Called with the number of scans done.
    """
    corrected = [deepcopy(network) for network in networks]
    described: list[list[Described]] = [[] for _ in networks]
    logarithm = np.zeros((len(networks), len(examples), WINDOWS))
    for index in range(len(examples)):
        for member, (found, ratio) in enumerate(correction_cases(networks, examples[index])):
            described[member].append(found)
            logarithm[member, index] = ratio
        if progress:
            progress(index + 1)
    for member, network in enumerate(corrected):
        network.correction = Correction()
        network.correction.fit(described[member], logarithm[member], ridge)
    return corrected


@torch.no_grad()
def correction_cases(networks: Sequence[TissueNetwork], example: Example) -> list[tuple[Described, Array]]:
    """For each network, description of a scan and the logarithm of true over read activity in every window.

    Windows that the scan lacks have NaN.
    """
    seen = see_aligned(networks, example.activity, example.timing, example.body_weight)
    measured = seen.features.constants[:WINDOWS] > 0
    truth = seen.features.windows @ example.whole_blood + OFFSET
    cases = []
    for network in networks:
        read = read_tissues(network, seen)
        blood = (seen.features.windows @ read.unmixed.curves[0] + OFFSET).clamp(min=0.5 * OFFSET)
        ratio = (truth / blood).log().where(measured, torch.nan)
        cases.append((describe(read), ratio.double().numpy(force=True)))
    return cases
