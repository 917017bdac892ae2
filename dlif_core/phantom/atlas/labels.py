"""The Digimouse label atlas, turned into the axes of the phantom and into the parts that it paints.

The file states axes that it does not have. Here they are turned such that x points to the right, y to the belly and z
to the head; positions are in millimetres from the centre of the heart, in the order z, y, x of images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, center_of_mass, distance_transform_edt, find_objects

from dlif_core.errors import ConfigurationError
from dlif_core.phantom.anatomy import ORGANS

Array = NDArray[np.float64]
Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: Parts that the ellipsoid phantom does not have; their labels follow those of the organs.
EXTRA = ("portal_vein", "right_atrium", "left_atrium")

#: All parts in the order of their labels, which start at 1; 0 is outside the body.
PARTS = (*ORGANS, *EXTRA)

#: Layers of the bladder that fill one after another, from the inside; they are all labelled as bladder.
LAYERS = ("bladder_2", "bladder_3", "bladder_4")

#: Part of the bladder's volume inside each layer.
LAYER_LEVELS = (0.3, 0.53, 0.77)

#: Everything that has a curve of its own, in the order of the codes in which it is painted.
PAINTED = (*PARTS, *LAYERS)

#: Code of each painted part.
CODE = {name: number for number, name in enumerate(PAINTED, start=1)}

#: Code of the abdominal cavity outside its organs, which gut and fat share.
CAVITY = len(PAINTED) + 1

#: Depth below the skin up to which it is known [voxels].
DEEPEST = 15

#: Body weight of the animal of the atlas [g].
ATLAS_WEIGHT = 28.0

_SHAPE = (190, 496, 104)
_LABELS = 22
_HEART = 9

# part that each label of the atlas becomes at first
_PART_OF = {
    1: "muscle",
    2: "bone",
    3: "muscle",
    **dict.fromkeys((4, 5, 6, 7, 8, 10), "brain"),
    9: "myocardium",
    11: "muscle",
    12: "harderian_gland",
    13: "bladder",
    14: "muscle",
    15: "stomach",
    16: "spleen",
    17: "gut",
    18: "liver",
    19: "kidney",
    20: "muscle",
    21: "lung",
}

_SLAB = 40  # planes
_KEPT = (-46.0, 36.0)  # the tail is left out [mm]
_FAT_DEPTH = 1.1  # skin and what lies below it [mm]
_COMPACT_BONE = 2  # its thickness [voxels]
_CAVITY_DEPTH, _CAVITY_Z, _CAVITY_Y = 2.2, (-31.0, -9.0), -4.5
_PELVIS_SHARE = 0.04


@dataclass(frozen=True, eq=False)
class Atlas:
    """A labelled animal.

    Attributes
    ----------
    codes
        Painted part of every voxel, shape (z, y, x), as in `CODE`; 0 outside the body.
    depth
        Distance from the skin, 0 outside the body, at most `DEEPEST` [voxels].
    spacing
        Edge length of a voxel [mm].
    heart
        Index of the centre of the heart, z, y, x.
    """

    codes: Labels
    depth: Labels
    spacing: float
    heart: Array

    def volume(self, *names: str) -> float:
        """Volume of parts [mm³]."""
        return float(np.isin(self.codes, [CODE[name] for name in names]).sum()) * self.spacing**3

    def position(self, axis: int) -> Array:
        """Positions of the voxels along an axis [mm]."""
        return np.asarray((np.arange(self.codes.shape[axis]) - self.heart[axis]) * self.spacing, float)


def load_atlas(path: str | Path) -> Atlas:
    """Read the label atlas.

    Parameters
    ----------
    path
        NIfTI file of the Digimouse labels, 190×496×104 voxels.

    Raises
    ------
    ConfigurationError
        If the file is missing, is no image, or has another shape or other labels.
    """
    labels, spacing = _turned(Path(path))
    heart = np.array(center_of_mass(labels == _HEART))
    first, last = (heart[0] + np.array(_KEPT) / spacing).round().astype(int)
    labels, heart = labels[first:last], heart - [first, 0, 0]
    atlas = Atlas(_table()[labels], _depth(labels > 0), spacing, heart)
    _divide_bone(atlas)
    _divide_soft_tissue(atlas)
    _divide_kidneys(atlas)
    _divide_bladder(atlas)
    return atlas


def _turned(path: Path) -> tuple[Labels, float]:
    """Labels in axes z, y, x, and the edge length of a voxel [mm]."""
    if not path.is_file():
        raise ConfigurationError("the label atlas is not there.", where=path, hint="Give the path of its NIfTI file.")
    try:
        image = Nifti1Image.from_filename(path)
        labels = np.asarray(image.dataobj)
    except (ImageFileError, OSError, EOFError) as error:
        raise ConfigurationError("this is no readable image.", where=path, hint="Restore the file.") from error
    if labels.shape != _SHAPE:
        _refuse(path, f"the label atlas has shape {labels.shape}, expected {_SHAPE}.")
    if not np.array_equal(np.unique(labels), np.arange(_LABELS)):
        _refuse(path, f"the label atlas has other labels than 0 to {_LABELS - 1}.")
    return labels.astype(np.uint8).transpose(1, 2, 0)[::-1, ::-1, ::-1], float(image.header.get_zooms()[0])


def _refuse(path: Path, message: str) -> None:
    raise ConfigurationError(message, where=path, hint="Give the Digimouse labels as SOURCE.md describes them.")


def _table() -> Labels:
    table = np.zeros(_LABELS, np.uint8)
    for label, part in _PART_OF.items():
        table[label] = CODE[part]
    return table


def _divide_bone(atlas: Atlas) -> None:
    """Fill thick bones with marrow."""
    inside = binary_erosion(atlas.codes == CODE["bone"], iterations=_COMPACT_BONE)
    atlas.codes[inside] = CODE["marrow"]


def _depth(body: Mask) -> Labels:
    """Distance of every voxel from the skin, up to `DEEPEST`; slab by slab, to be small [voxels]."""
    depth = np.zeros(body.shape, np.uint8)
    for start in range(0, len(body), _SLAB):
        first = max(start - DEEPEST, 0)
        found = distance_transform_edt(body[first : start + _SLAB + DEEPEST])[start - first :][:_SLAB]
        depth[start : start + _SLAB] = np.minimum(found, DEEPEST).round()
    return depth


def _divide_soft_tissue(atlas: Atlas) -> None:
    """Make fat of what lies below the skin, and find the abdominal cavity."""
    depth = atlas.depth * atlas.spacing
    soft = atlas.codes == CODE["muscle"]
    z, y = atlas.position(0)[:, None, None], atlas.position(1)[:, None]
    low, high = _CAVITY_Z
    within = soft & (depth > _CAVITY_DEPTH) & (z > low) & (z < high) & (y > _CAVITY_Y)
    atlas.codes[within] = CAVITY
    atlas.codes[soft & (depth <= _FAT_DEPTH)] = CODE["fat"]


def _divide_kidneys(atlas: Atlas) -> None:
    """Make the innermost part of the kidneys their pelvis."""
    codes, depth = _inside(atlas, "kidney")
    codes[depth > np.quantile(depth[depth > 0], 1.0 - _PELVIS_SHARE)] = CODE["renal_pelvis"]


def _divide_bladder(atlas: Atlas) -> None:
    """Divide the bladder into layers."""
    codes, depth = _inside(atlas, "bladder")
    for layer, share in zip(LAYERS, LAYER_LEVELS, strict=True):
        outer = (depth > 0) & (depth <= np.quantile(depth[depth > 0], 1.0 - share))
        codes[outer] = CODE[layer]


def _inside(atlas: Atlas, part: str) -> tuple[Labels, Array]:
    """The box around a part, to be written into, and the distance of its voxels from the part's edge [voxels]."""
    mask = atlas.codes == CODE[part]
    box = find_objects(mask.astype(np.uint8))[0]
    grown = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
    return atlas.codes[grown], np.asarray(distance_transform_edt(mask[grown]))
