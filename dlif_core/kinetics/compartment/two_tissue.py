"""The response of two tissue compartments in their rate constants themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.kinetics.compartment.design import FrameColumns

Array = NDArray[np.float64]


def two_tissue_rates(k2: ArrayLike, k3: ArrayLike, k4: ArrayLike) -> tuple[Array, Array]:
    """The slow and the fast exponential rate θ₁ ≤ θ₂ of k2, k3, k4 [min⁻¹]; their sum is k2 + k3 + k4."""
    k2, k3, k4 = (np.asarray(k, float) for k in (k2, k3, k4))
    total = k2 + k3 + k4
    fast = 0.5 * (total + np.sqrt((k2 + k3 - k4) ** 2 + 4 * k3 * k4))
    return k2 * k4 / fast, fast


def two_tissue_response(columns: FrameColumns, k2: ArrayLike, k3: ArrayLike, k4: ArrayLike) -> Array:
    """C_T of two tissue compartments for K1 = 1.

    Parameters
    ----------
    columns
        Columns of the scan and its input function.
    k2, k3, k4
        Each of shape (tissues,) [min⁻¹]; k2 + k3 above zero.

    Returns
    -------
    Frame averages, shape (tissues, frames) [Bq/mL·min].
    """
    slow, fast = two_tissue_rates(k2, k3, k4)
    inner = np.asarray(k3, float) + np.asarray(k4, float)
    responses = columns.exponential(np.concatenate([slow, fast])).reshape(2, len(slow), -1)
    apart = fast - slow
    share = np.divide(inner - slow, apart, out=np.zeros_like(apart), where=apart > 0)[:, None]
    return np.asarray(share * responses[0] + (1 - share) * responses[1])
