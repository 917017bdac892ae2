"""Samples of one quantity over time, and the time grid on which curves are laid out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Interpolation = Literal["linear", "monotone"]

#: Times nearer than this are one time [s]: 0.3 min becomes 18.000000000000004 s, which a delay would merge with 18 s.
_SAME_TIME = 1e-6


@dataclass(frozen=True, eq=False)
class Series:
    """Samples of one quantity.

    Attributes
    ----------
    time
        Shape (samples,), strictly increasing [s].
    value
        Shape (samples,), finite.
    recording
        Name of the recording that each sample comes from, shape (samples,).
    """

    time: Array
    value: Array
    recording: NDArray[np.str_]

    def at(self, time: ArrayLike, interpolation: Interpolation = "linear") -> Array:
        """Value between the samples; zero before the first of them falls off linearly to zero at injection.

        Parameters
        ----------
        time
            Any shape [s]; after the last sample the value stays constant.
        interpolation
            ``linear``, or ``monotone`` (shape-preserving cubic, Fritsch & Carlson, SIAM J Numer Anal 1980;17:238).
        """
        time, nodes, values = np.asarray(time, float), self.time, self.value
        if nodes[0] > 0:
            nodes, values = np.append(0.0, nodes), np.append(0.0, values)
        if interpolation == "linear":
            return np.asarray(np.interp(time, nodes, values))
        from scipy.interpolate import PchipInterpolator

        return np.asarray(PchipInterpolator(nodes, values)(np.clip(time, nodes[0], nodes[-1])))

    @property
    def origin(self) -> dict[str, int]:
        """Number of samples that each recording gave."""
        names, counts = np.unique(self.recording, return_counts=True)
        return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def time_grid(end: float, *samples: Array) -> Array:
    """Times on which a curve is laid out: every sample and points between, denser early.

    Steps are 1 s at first and 2 % of the time later, so that the product of a line and a smooth curve is piecewise
    linear to well below measurement error.

    Parameters
    ----------
    end
        Last time [s]; later samples are left out.
    *samples
        Times that the grid must hold.

    Returns
    -------
    Increasing from 0 to `end` in steps of more than 1 µs [s].
    """
    early = np.arange(0.0, min(end, 50.0), 1.0)
    late = np.geomspace(50.0, end, int(np.log(end / 50.0) / 0.02) + 2) if end > 50.0 else np.array([end])
    late[-1] = end
    grid = np.unique(np.concatenate([early, late, *samples]))
    grid = grid[(grid >= 0) & (grid <= end)]
    grid = grid[np.diff(grid, prepend=-np.inf) > _SAME_TIME]
    grid[-1] = end
    return grid
