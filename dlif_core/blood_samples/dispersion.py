"""Correction of autosampler curves for dispersion in the tube to the detector.

The tube convolves the curve with (1/τ)·e^(−t/τ), so that C(t) = G(t) + τ·dG/dt of the measured G (Iida et al., J Cereb
Blood Flow Metab 1986;6:536-545). The derivative is that of a cubic smoothing spline whose smoothness generalised
cross-validation finds; the samples themselves are not smoothed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.blood_samples.recording import BloodRecording

Array = NDArray[np.float64]

_ACTIVITY = ("whole_blood", "plasma")
_FEWEST = 10


def resolves(time: ArrayLike, constant: float) -> bool:
    """Whether samples are near enough to each other to be corrected for dispersion.

    Parameters
    ----------
    time
        Shape (samples,), in any order [s].
    constant
        Time constant of the dispersion [s].
    """
    times = np.unique(np.asarray(time, float))
    return len(times) >= _FEWEST and bool(np.median(np.diff(times)) <= constant)


def corrected_for_dispersion(recording: BloodRecording) -> BloodRecording:
    """Correct the activities of a recording by its time constant of dispersion.

    Parameters
    ----------
    recording
        Times must be strictly increasing [s].

    Returns
    -------
    The recording before the tube, with a constant of zero; activities that the correction would make negative are zero.
    A recording without dispersion is returned as it is.
    """
    if not recording.dispersion:
        return recording
    columns = {
        name: _corrected(recording.time, values, recording.dispersion)
        for name in _ACTIVITY
        if (values := getattr(recording, name)) is not None
    }
    return replace(recording, dispersion=0.0, **columns)  # type: ignore[arg-type]


def _corrected(time: Array, values: Array, constant: float) -> Array:
    from scipy.interpolate import make_smoothing_spline

    measured = np.isfinite(values)
    if measured.sum() < _FEWEST:
        return values
    slope = make_smoothing_spline(time[measured], values[measured]).derivative()(time[measured])
    corrected = np.full(len(time), np.nan)
    corrected[measured] = np.maximum(values[measured] + constant * slope, 0.0)
    return corrected
