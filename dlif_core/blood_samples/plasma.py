"""Total plasma from whole blood and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.blood_samples.merge import ArterialBlood
from dlif_core.blood_samples.series import Series
from dlif_core.scan import Acquisition, is_fdg

Array = NDArray[np.float64]

# below this share of its peak, activity is background and its ratio meaningless
_SIGNAL = 0.01


def mouse_fdg_ratio(time: ArrayLike) -> Array:
    """Plasma to whole-blood ratio of FDG in mice: 0.386·e^(−0.191·t/min) + 1.165.

    Source: Wu et al., J Nucl Med 2007;48:837-845.

    Parameters
    ----------
    time
        Any shape [s from injection].
    """
    return np.asarray(0.386 * np.exp(-0.191 * np.asarray(time, float) / 60.0) + 1.165)


def assumed_ratio(time: Array, acquisition: Acquisition) -> tuple[Array, str, tuple[str, ...]]:
    """Plasma to whole-blood ratio of a scan in which only one of both is known.

    Parameters
    ----------
    time
        Shape (points,) [s].
    acquisition
        Tells tracer and species.

    Returns
    -------
    The ratio, shape (points,), the name of what was assumed, and a warning where nothing better than 1 is known.
    """
    if acquisition.species == "mouse" and is_fdg(acquisition.tracer):
        return mouse_fdg_ratio(time), "mouse FDG formula (J Nucl Med 2007;48:837)", ()
    warning = "whole blood and plasma were not both measured; they are taken as equal."
    return np.ones_like(time), "assumed equal to 1", (warning,)


def measured_ratio(blood: ArterialBlood) -> Series | None:
    """Plasma to whole-blood ratio at the plasma samples, or None where it can't be had.

    Samples below 1 % of the peak are left out: before the tracer arrives the ratio is one of backgrounds.
    """
    whole_blood, plasma = blood.whole_blood, blood.plasma
    if whole_blood is None or plasma is None:
        return None
    beside = np.interp(plasma.time, whole_blood.time, whole_blood.value, left=0.0, right=0.0)
    signal = (plasma.value > _SIGNAL * plasma.value.max()) & (beside > _SIGNAL * whole_blood.value.max())
    if not signal.any():
        return None
    return Series(plasma.time[signal], plasma.value[signal] / beside[signal], plasma.recording[signal])
