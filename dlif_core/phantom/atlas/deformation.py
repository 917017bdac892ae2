"""Smooth random deformation of the atlas: where a point of an animal lies in the atlas.

Positions are in millimetres in the order z, y, x, from the centre of the heart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation

from dlif_core.phantom.atlas.labels import ATLAS_WEIGHT

Array = NDArray[np.float64]
Positions = NDArray[np.float32]

_NODE_SPACING = 4.0  # of the random displacements [mm]
_NODES = (31, 17, 17)
_SMOOTHNESS = 1.7  # standard deviation of the blur of the random displacements [nodes]
_HEART_REACH = 6.0  # the heart's own size changes its surroundings so far [mm]

_SCALE_SPREAD, _LARGEST_SCALE = 0.05, 0.12
_BEND = 0.9  # root mean square of the displacement along each axis [mm]
_TURN, _SHIFT = 5.0, 1.0  # standard deviation of the pose [degrees, mm]


@dataclass(frozen=True, eq=False)
class Deformation:
    """From an animal in the scanner to the atlas.

    Attributes
    ----------
    scale
        Size of the animal relative to the atlas along z, y, x.
    rotation
        Shape (3, 3); turns the animal in the scanner.
    shift
        Displacement of the animal in the scanner [mm].
    field
        Displacements within the body at nodes around the heart, shape (3, nodes z, nodes y, nodes x) [mm].
    heart
        Linear size of the heart relative to the body.
    """

    scale: Array
    rotation: Array
    shift: Array
    field: Array
    heart: float

    def to_atlas(self, positions: Positions) -> Positions:
        """Positions in the atlas, of the same shape (..., 3)."""
        turned = (positions - self.shift.astype(np.float32)) @ self.rotation.astype(np.float32)
        body = np.asarray(turned / self.scale.astype(np.float32), np.float32)
        return self._sized(np.add(body, self._displacement(body)))

    def growth(self) -> float:
        """Volume of the heart relative to the atlas."""
        step = 0.5
        centre = self.shift
        corners = [centre + sign * step * axis for axis in np.eye(3) for sign in (-1.0, 1.0)]
        moved = self.to_atlas(np.array(corners, np.float32))
        jacobian = (moved[1::2] - moved[::2]).astype(float) / (2.0 * step)
        return float(1.0 / abs(np.linalg.det(jacobian)))

    def _displacement(self, body: Positions) -> Positions:
        flat = body.reshape(-1, 3).T / _NODE_SPACING + 0.5 * (np.array(_NODES)[:, None] - 1)
        moved = [map_coordinates(part, flat, order=1, mode="nearest", output=np.float32) for part in self.field]
        return np.stack(moved, axis=-1).reshape(body.shape)

    def _sized(self, body: Positions) -> Positions:
        near = np.exp(-0.5 * (body**2).sum(axis=-1, keepdims=True) / _HEART_REACH**2)
        return np.asarray(body * (1.0 + (1.0 / self.heart - 1.0) * near), np.float32)


def draw_deformation(rng: np.random.Generator, body_weight: float, heart: float) -> Deformation:
    """Draw the deformation of an animal.

    Parameters
    ----------
    rng
        Source of randomness.
    body_weight
        [g].
    heart
        Linear size of the heart relative to the body.
    """
    size = np.cbrt(body_weight / ATLAS_WEIGHT)
    varied = np.clip(rng.normal(0.0, _SCALE_SPREAD, 3), -_LARGEST_SCALE, _LARGEST_SCALE)
    turn = Rotation.from_euler("xyz", rng.normal(0.0, _TURN, 3), degrees=True)
    return Deformation(size * (1.0 + varied), turn.as_matrix(), rng.normal(0.0, _SHIFT, 3), _field(rng), heart)


def _field(rng: np.random.Generator) -> Array:
    """Smooth random displacements; the centre of the heart stays where it is."""
    noise = rng.standard_normal((3, *_NODES))
    smooth = np.stack([gaussian_filter(part, _SMOOTHNESS, mode="wrap") for part in noise])
    smooth *= _BEND / smooth.std()
    z, y, x = (n // 2 for n in _NODES)
    return np.asarray(smooth - smooth[:, z, y, x, None, None, None])
