"""The uncertainty of an input function as a few common factors.

Curves drawn from it are the curve itself plus Σ zₖ fₖ with independent zₖ of variance one. The factors fₖ are shared by
all curves of a scan, so what they do to one region and to another is known to go together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.errors import CurveError
from dlif_core.kinetics.context import FitContext
from dlif_core.kinetics.convolution import FrameConvolution
from dlif_core.kinetics.model import RATE_BOUNDS

Array = NDArray[np.float64]

#: Share of the variance that the factors carry, and the most there are.
_SHARE, _MOST = 0.995, 8
#: Rates of the tissue responses by which variance is measured.
_RESPONSES = 9
#: Share of the peak of whole blood below which the ratio to plasma is taken from its neighbours.
_NO_BLOOD = 1e-3


@dataclass(frozen=True, eq=False)
class InputFactors:
    """Common factors of an uncertain input function.

    Attributes
    ----------
    curve
        The input function they belong to.
    whole_blood, plasma
        What a factor of one adds to C_WB and to C_p, shape (factors, points) [Bq/mL]; the factor with the largest
        variance first, each with the sign that makes its area under C_WB positive.
    share
        Share of the variance of the samples that the factors have by themselves. They are enlarged by 1/√share, so that
        together they carry all of it.
    """

    curve: InputFunction
    whole_blood: Array
    plasma: Array
    share: float

    def __len__(self) -> int:
        return len(self.whole_blood)

    def alone(self, factor: int) -> InputFunction:
        """One factor, as a curve of its own."""
        return replace(
            self.curve, whole_blood=self.whole_blood[factor], plasma=self.plasma[factor], samples=None, method="factor"
        )

    def moved(self, factor: int, by: float) -> InputFunction:
        """The input function with one factor at `by`."""
        whole_blood = self.curve.whole_blood + by * self.whole_blood[factor]
        plasma = self.curve.plasma + by * self.plasma[factor]
        return replace(self.curve, whole_blood=whole_blood, plasma=plasma, samples=None)


def input_factors(context: FitContext) -> InputFactors | None:
    """The common factors of the context's input function; None where it has no samples.

    Variance is measured where it acts: on the weighted frame averages of C_WB and of tissue responses e^(−θt) ⊗ C_p
    over all rates θ, each relative to the size of its own column. So neither the peak, which is high, nor the tail,
    which is long, decides alone, and noise of single points counts as little as it does in a fit.

    Parameters
    ----------
    context
        What the curves share. Plasma of a sample is its whole blood times the curve's own ratio of plasma to whole
        blood, so the ratio counts as exact.

    Raises
    ------
    CurveError
        If there is only one sample.
    """
    curve = context.input_function
    if curve is None or curve.samples is None:
        return None
    if len(curve.samples) < 2:
        raise CurveError("one sample does not give an uncertainty.", where=curve.method, hint="Give two or more.")
    deviation = (curve.samples - curve.samples.mean(0)) / np.sqrt(len(curve.samples) - 1)
    ratio = plasma_ratio(curve)
    seen = np.stack([_seen(context, some, some * ratio) for some in deviation])
    sizes = np.linalg.norm(_seen(context, curve.whole_blood, curve.plasma), axis=1, keepdims=True)
    mixture, spread, _ = np.linalg.svd((seen / sizes).reshape(len(seen), -1), full_matrices=False)
    count, share = _kept(spread**2)
    whole_blood = mixture[:, :count].T @ deviation / np.sqrt(share)
    area = np.trapezoid(whole_blood, curve.time, axis=1)
    whole_blood *= np.where(area < 0, -1.0, 1.0)[:, None]
    return InputFactors(curve, whole_blood, whole_blood * ratio, share)


def plasma_ratio(curve: InputFunction) -> Array:
    """C_p / C_WB, shape (points,); straight between its neighbours where there is hardly any blood activity."""
    known = curve.whole_blood > _NO_BLOOD * curve.whole_blood.max()
    if not known.any():
        return np.ones_like(curve.time)
    return np.asarray(np.interp(curve.time, curve.time[known], curve.plasma[known] / curve.whole_blood[known]))


def _seen(context: FitContext, whole_blood: Array, plasma: Array) -> Array:
    """Weighted frame averages of whole blood and of tissue responses, shape (columns, frames)."""
    assert context.input_function is not None
    time = context.input_function.time
    responses = FrameConvolution(time, plasma, context.timing).exponential(np.geomspace(*RATE_BOUNDS, _RESPONSES))
    columns = np.vstack([context.timing.average(time, whole_blood), responses])
    return np.asarray(columns * np.sqrt(context.weights))


def _kept(variance: Array) -> tuple[int, float]:
    """How many factors are kept, and their share of the variance."""
    total = variance.sum()
    if total == 0:
        return 1, 1.0
    share = np.cumsum(variance) / total
    count = min(int(np.searchsorted(share, _SHARE)) + 1, _MOST)
    return count, float(share[count - 1])
