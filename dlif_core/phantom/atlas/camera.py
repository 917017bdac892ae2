"""What the camera shows of every part: sampling, resolution that depends on place, edges, scatter.

A camera maps the samples of a body to voxels. Blurs are applied to the activity and not to the image, weighted by
where it lies, so that a blur that differs from place to place keeps all activity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom
from scipy.special import ndtr

from dlif_core.phantom.atlas.deformation import Deformation
from dlif_core.phantom.atlas.labels import CODE, LAYERS, PAINTED, PARTS, Atlas, Labels
from dlif_core.separable import FWHM, separable

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Triple = tuple[float, float, float]
Box = tuple[slice, slice, slice]

#: Parts that hold nothing but blood or urine, which is well mixed.
MIXED = (
    *("vena_cava", "aorta", "right_ventricle", "left_ventricle", "right_atrium", "left_atrium"),
    *("cranial_vena_cava", "portal_vein", "renal_pelvis", "bladder", *LAYERS),
)

_BEATING = ("right_ventricle", "myocardium", "left_ventricle", "right_atrium", "left_atrium")
_SAMPLE = 0.3  # parts are sampled at least this finely [mm]
_NODE_SPACING = 1.2  # of the points whose place in the atlas is computed [mm]
_MARGIN = 3.6  # what lies this far outside the image still shines into it [mm]
_EDGE_RADIUS = 14.0  # distance from the axis at which the resolution is stated [mm]
_SURROUND = 1.8  # width of the kernel that overshooting takes away, relative to that of the resolution
_SCATTER_WIDTH = 24.0  # FWHM [mm]
_TEXTURE_WIDTH = 4.0  # FWHM of heterogeneity within organs [mm]


@dataclass(frozen=True)
class Raster:
    """Voxels of an image.

    Attributes
    ----------
    shape
        Voxels along z, y, x.
    voxel
        Edge lengths along z, y, x [mm].
    middle
        Middle of the image from the centre of the heart, z, y, x [mm]. The image's own origin is in its middle.
    """

    shape: tuple[int, int, int]
    voxel: Triple
    middle: Triple = (0.0, 0.0, 0.0)

    @property
    def affine(self) -> Array:
        """Voxel index (x, y, z) to mm, shape (4, 4), as in NIfTI."""
        size = np.array(self.voxel[::-1])
        affine = np.diag([*size, 1.0])
        affine[:3, 3] = -0.5 * (np.array(self.shape[::-1]) - 1) * size
        return affine

    @property
    def steps(self) -> int:
        """Samples along the edge of a voxel."""
        return max(2, int(np.ceil(max(self.voxel) / _SAMPLE)))

    @property
    def margins(self) -> tuple[int, int, int]:
        """Samples outside the image, on either side along z, y, x."""
        z, y, x = (int(np.ceil(_MARGIN * self.steps / edge)) for edge in self.voxel)
        return z, y, x

    def samples(self, axis: int) -> Array:
        """Places of the samples along an axis, from the middle of the image [mm]."""
        count, edge = self.shape[axis] * self.steps + 2 * self.margins[axis], self.voxel[axis] / self.steps
        return np.asarray((np.arange(count) - 0.5 * (count - 1)) * edge, float)


@dataclass(frozen=True)
class Camera:
    """Resolution and faults of a camera and its reconstruction.

    Attributes
    ----------
    resolution
        FWHM on the axis, z, y, x [mm].
    growth
        How much wider it is 14 mm beside the axis, relative to that.
    heart
        FWHM in the heart, which moves [mm].
    overshoot
        How far a reconstructed edge shoots over, relative to its height.
    scatter
        Share of the activity that is spread widely.
    texture
        Heterogeneity of tissue within organs, relative.
    """

    resolution: Triple
    growth: float = 0.2
    heart: float = 2.0
    overshoot: float = 0.0
    scatter: float = 0.0
    texture: float = 0.0


def sample_body(codes: Labels, atlas: Atlas, deformation: Deformation, raster: Raster) -> Labels:
    """Painted codes at the samples of a raster, shape (z, y, x) of the samples."""
    places = _places(deformation, raster) / atlas.spacing + atlas.heart.astype(np.float32)[:, None, None, None]
    index = np.rint(places).astype(np.int32)
    inside = np.ones(index.shape[1:], bool)
    flat = np.zeros(index.shape[1:], np.int32)
    for numbers, count in zip(index, codes.shape, strict=True):
        inside &= (numbers >= 0) & (numbers < count)
        flat = flat * np.int32(count) + np.clip(numbers, 0, count - 1)
    return np.where(inside, codes.ravel()[flat], np.uint8(0))


def _places(deformation: Deformation, raster: Raster) -> Image:
    """Where the samples lie in the atlas, shape (3, z, y, x) [mm]; exact at nodes, and linear between them."""
    axes = [raster.samples(axis) for axis in range(3)]
    nodes = [np.linspace(at[0], at[-1], int(np.ptp(at) / _NODE_SPACING) + 2) for at in axes]
    shifted = [at + middle for at, middle in zip(nodes, raster.middle, strict=True)]
    found = deformation.to_atlas(np.stack(np.meshgrid(*shifted, indexing="ij"), axis=-1).astype(np.float32))
    between = [_linear(node, at) for node, at in zip(nodes, axes, strict=True)]
    return np.asarray(separable(torch.from_numpy(np.moveaxis(found, -1, 0).copy()), between).numpy())


def _linear(nodes: Array, at: Array) -> Array:
    """Matrix of linear interpolation between evenly spaced nodes, shape (points, nodes)."""
    distance = np.abs(at[:, None] - nodes) / (nodes[1] - nodes[0])
    return np.asarray(np.clip(1.0 - distance, 0.0, None))


def voxel_labels(samples: Labels, raster: Raster) -> NDArray[np.int32]:
    """Label of the part that fills most of each voxel, as in `PARTS`; 0 outside the body."""
    inner = samples[tuple(slice(margin, -margin) for margin in raster.margins)]
    merged = np.where(np.isin(inner, [CODE[layer] for layer in LAYERS]), np.uint8(CODE["bladder"]), inner)
    best, most = np.zeros(raster.shape, np.int32), _filled(merged == 0, raster.steps)
    for label in np.unique(merged[merged > 0]):
        box = _voxels(_enclosing(merged == label), raster.steps)
        columns = tuple(slice(side.start * raster.steps, side.stop * raster.steps) for side in box)
        filled = _filled(merged[columns] == label, raster.steps)
        best[box][filled > most[box]] = label
        most[box] = np.maximum(filled, most[box])
    return best


def part_weights(samples: Labels, raster: Raster, camera: Camera, rng: np.random.Generator) -> torch.Tensor:
    """Contribution of the curve of each painted part to every voxel.

    Parameters
    ----------
    samples
        Result of `sample_body`.
    raster
        Voxels.
    camera
        What blurs them.
    rng
        Source of randomness of the texture.

    Returns
    -------
    Shape (parts of `PAINTED`, z, y, x), float32.
    """
    texture = 1.0 + camera.texture * _texture(samples.shape, raster, rng)
    fields = _Fields(samples, raster, camera)
    weights = torch.zeros(len(PAINTED), *raster.shape)
    for name, code in CODE.items():
        box = _enclosing(samples == code)
        if box is None:
            continue
        seen = (samples[box] == code).astype(np.float32)
        weights[code - 1] = fields.shown(seen if name in MIXED else seen * texture[box], box)
    return _scattered(_overshot(weights, raster, camera), raster, camera.scatter)


class _Fields:
    """Which blur holds for activity at each sample, and its matrices."""

    def __init__(self, samples: Labels, raster: Raster, camera: Camera) -> None:
        wide = [(1.0 + camera.growth) * width for width in camera.resolution]
        self._matrices = [_matrices(raster, widths) for widths in (camera.resolution, wide, [camera.heart] * 3)]
        beating = _beating(samples, raster, camera.heart)
        distance = np.hypot(raster.samples(1)[:, None], raster.samples(2))
        outer = np.minimum((distance / _EDGE_RADIUS) ** 2, 1.5).astype(np.float32)
        still = 1.0 - beating
        self._shares = [still * (1.0 - outer), still * outer, beating]

    def shown(self, seen: Image, box: Box) -> torch.Tensor:
        """Activity of a box of samples as the camera shows it."""
        total = torch.zeros(())
        for matrices, share in zip(self._matrices, self._shares, strict=True):
            part = seen * share[box]
            if part.any():
                columns = [matrix[:, side] for matrix, side in zip(matrices, box, strict=True)]
                total = total + separable(torch.from_numpy(part), columns)
        return total


def _matrices(raster: Raster, widths: list[float] | Triple) -> list[Array]:
    """Matrices along z, y, x from samples to voxels: a Gaussian of the given FWHM, and the mean over each voxel."""
    found = []
    for axis, width in enumerate(widths):
        edges = (np.arange(raster.shape[axis] + 1) - 0.5 * raster.shape[axis]) * raster.voxel[axis]
        share = ndtr((edges[:, None] - raster.samples(axis)) * FWHM / width)
        found.append(np.diff(share, axis=0) / raster.steps)
    return found


def _beating(samples: Labels, raster: Raster, width: float) -> Image:
    """How much each sample moves with the heart, 0 to 1; neighbours of the heart do partly."""
    heart = np.isin(samples, [CODE[name] for name in _BEATING])
    moving = np.zeros(samples.shape, np.float32)
    box = _enclosing(heart)
    if box is None:
        return moving
    reach = [int(np.ceil(width * raster.steps / edge)) for edge in raster.voxel]
    grown = tuple(slice(max(side.start - n, 0), side.stop + n) for side, n in zip(box, reach, strict=True))
    sigma = [width / FWHM * raster.steps / edge for edge in raster.voxel]
    moving[grown] = np.minimum(3.0 * gaussian_filter(heart[grown].astype(np.float32), sigma), 1.0)
    return moving


def _texture(shape: tuple[int, ...], raster: Raster, rng: np.random.Generator) -> Image:
    """A smooth random field over the samples, of unit standard deviation."""
    coarse = [max(4, int(n * edge / raster.steps / 1.5) + 2) for n, edge in zip(shape, raster.voxel, strict=True)]
    field = gaussian_filter(rng.standard_normal(coarse, dtype=np.float32), _TEXTURE_WIDTH / FWHM / 1.5)
    grown = zoom(field / field.std(), [n / m for n, m in zip(shape, coarse, strict=True)], order=1)
    return np.asarray(np.clip(grown, -2.5, 2.5), np.float32)


def _overshot(weights: torch.Tensor, raster: Raster, camera: Camera) -> torch.Tensor:
    """Edges made steeper, such that a straight one shoots over by the stated part of its height."""
    if not camera.overshoot:
        return weights
    strength = overshoot_strength(camera.overshoot)
    extra = [np.sqrt(_SURROUND**2 - 1.0) * width for width in camera.resolution]
    return (1.0 + strength) * weights - strength * separable(weights, _voxel_blur(raster, extra))


def overshoot_strength(overshoot: float) -> float:
    """Weight of the surround that lets an edge shoot over by this part of its height."""
    x, strengths = np.linspace(0.0, 5.0, 501), np.linspace(0.0, 4.0, 81)
    edge, surround = ndtr(x), ndtr(x / _SURROUND)
    heights = [float((edge + k * (edge - surround)).max() - 1.0) for k in strengths]
    return float(np.interp(overshoot, heights, strengths))


def _scattered(weights: torch.Tensor, raster: Raster, share: float) -> torch.Tensor:
    if not share:
        return weights
    wide = separable(weights, _voxel_blur(raster, [_SCATTER_WIDTH] * 3))
    return (1.0 - share) * weights + share * wide


def _voxel_blur(raster: Raster, widths: list[float]) -> list[Array]:
    """Matrices along z, y, x that blur an image by Gaussians of the given FWHM [mm]."""
    found = []
    for count, edge, width in zip(raster.shape, raster.voxel, widths, strict=True):
        distance = (np.arange(count)[:, None] - np.arange(count)) * edge * FWHM / width
        half = 0.5 * edge * FWHM / width
        found.append(ndtr(distance + half) - ndtr(distance - half))
    return found


def _filled(mask: NDArray[np.bool_], steps: int) -> Labels:
    """Number of samples within each voxel."""
    z, y, x = (count // steps for count in mask.shape)
    along = mask.reshape(z, steps, -1).sum(axis=1, dtype=np.uint8)
    across = along.reshape(z, y, steps, -1).sum(axis=2, dtype=np.uint8)
    return np.asarray(across.reshape(z, y, x, steps).sum(axis=3, dtype=np.uint8))


def _voxels(box: Box | None, steps: int) -> Box:
    """The voxels that hold a box of samples."""
    assert box is not None, "the part was found"
    z, y, x = (slice(side.start // steps, -(-side.stop // steps)) for side in box)
    return z, y, x


def _enclosing(mask: NDArray[np.bool_]) -> Box | None:
    sides = [np.flatnonzero(mask.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    if not len(sides[0]):
        return None
    z, y, x = (slice(int(at[0]), int(at[-1]) + 1) for at in sides)
    return z, y, x


def label_names() -> Mapping[int, str]:
    """Name of each label that may occur."""
    return dict(enumerate(PARTS, start=1))
