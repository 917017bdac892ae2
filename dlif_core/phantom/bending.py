"""Smooth bending of a body: vessels that are not straight, and organs that are no ellipsoids.

A point r of the bent body shows what lies at r + Σ a·sin(k·r + φ) in the straight one, with a few waves of lengths well
above those of organs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Number of waves, and their lengths [mm].
_WAVES, _LENGTHS = 5, (14.0, 45.0)


@dataclass(frozen=True, eq=False)
class Bending:
    """A sum of waves.

    Attributes
    ----------
    wave_vectors
        k, shape (waves, 3), along x, y, z [rad/mm].
    amplitudes
        a, shape (waves, 3), along x, y, z [mm].
    phases
        φ, shape (waves,) [rad].
    """

    wave_vectors: Array
    amplitudes: Array
    phases: Array

    @property
    def reach(self) -> Array:
        """Largest displacement along x, y, z [mm]."""
        return np.asarray(np.abs(self.amplitudes).sum(axis=0))

    def straightened(
        self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Where in the straight body points lie; x, y and z are broadcast against each other [mm]."""
        moved = [x, y, z]
        for wave, amplitude, phase in zip(self.wave_vectors, self.amplitudes, self.phases, strict=True):
            size = torch.sin(float(wave[0]) * x + float(wave[1]) * y + float(wave[2]) * z + float(phase))
            moved = [axis + float(part) * size for axis, part in zip(moved, amplitude, strict=True)]
        return moved[0], moved[1], moved[2]


def draw_bending(rng: np.random.Generator, size: float, scale: float = 1.0) -> Bending | None:
    """Draw a deformation.

    Parameters
    ----------
    rng
        Source of randomness.
    size
        Root mean square of the displacement [mm]; 0 for none.
    scale
        Lengths of the waves relative to those in a mouse.
    """
    if size <= 0.0:
        return None
    direction = rng.standard_normal((_WAVES, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    shortest, longest = np.log(_LENGTHS)
    length = scale * np.exp(rng.uniform(shortest, longest, _WAVES))
    amplitudes = rng.standard_normal((_WAVES, 3))
    amplitudes *= size * np.sqrt(2.0) / np.linalg.norm(amplitudes)
    return Bending(2.0 * np.pi / length[:, None] * direction, amplitudes, rng.uniform(0.0, 2.0 * np.pi, _WAVES))
