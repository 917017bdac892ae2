"""Fitting the correction of a trained network on scans with known blood."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.networks.correction import OFFSET, Correction, Described, describe
from dlif_core.networks.examples import Example
from dlif_core.networks.features import WINDOWS, features
from dlif_core.networks.prediction import predict
from dlif_core.networks.resampling import displaced
from dlif_core.networks.training_run import Source
from dlif_core.networks.unmixing import Unmixed
from dlif_core.networks.weight_map import TissueNetwork

Array = NDArray[np.float64]

#: Penalty on squared slopes; curves hardly change between 3 and 30 [scans].
RIDGE = 10.0


def with_correction(
    network: TissueNetwork, examples: Source, ridge: float = RIDGE, progress: Callable[[int], None] | None = None
) -> TissueNetwork:
    """The network with a correction fitted to what it reads in scans with known blood.

    Parameters
    ----------
    network
        Trained; a correction that it has is replaced.
    examples
        Scans; a thousand or more, for the description of a scan has some hundred numbers.
    ridge
        See `Correction.fit`.
    progress
        Called with the number of scans done.
    """
    corrected = deepcopy(network)
    corrected.correction = Correction()
    described, logarithm = [], np.zeros((len(examples), WINDOWS))
    for index in range(len(examples)):
        found, logarithm[index] = correction_case(corrected, examples[index])
        described.append(found)
        if progress:
            progress(index + 1)
    corrected.correction.fit(described, logarithm, ridge)
    return corrected


@torch.no_grad()
def correction_case(network: TissueNetwork, example: Example) -> tuple[Described, Array]:
    """Description of a scan, and the logarithm of true over read activity in every window, NaN where it lacks one."""
    found = predict(network, example.activity, example.timing, example.body_weight)
    seen = features(displaced(example.activity, found.displacement), example.timing, example.body_weight)
    described = describe(seen, Unmixed(found.weight_map[None], found.curves), found.tissues)
    truth, read = (seen.windows @ curve + OFFSET for curve in (example.whole_blood, found.curves[0]))
    ratio = (truth / read.clamp(min=0.5 * OFFSET)).log()
    measured = seen.constants[:WINDOWS] > 0
    return described, ratio.where(measured, torch.nan).double().numpy(force=True)
