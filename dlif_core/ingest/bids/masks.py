"""Regions of a scan from masks: one image for each region, on the grid of the PET image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import Finding, ImageSummary
from dlif_core.checks.metadata import FILES_LEFT_OUT, MASKS_OVERLAP
from dlif_core.errors import DlifError, ImageError
from dlif_core.ingest.label_image import read_labels
from dlif_core.ingest.nifti import NiftiImage
from dlif_core.ingest.reader import ScanFiles
from dlif_core.ingest.regions import LabelMeans, label_means
from dlif_core.scan import RegionCurves

#: A voxel is in several masks by the bits of a whole number.
_MOST = 30


@dataclass(frozen=True, eq=False)
class MaskedRegions:
    """Regions from masks.

    Attributes
    ----------
    curves
        Mean curve of each mask.
    labels
        Number of the region of each voxel, shape (z, y, x); None where masks overlap.
    names
        Region by number.
    image
        The whole image in a few numbers for each frame.
    """

    curves: RegionCurves
    labels: NDArray[np.int32] | None
    names: Mapping[int, str]
    image: ImageSummary


def masked_regions(files: ScanFiles, image: NiftiImage, volume: float) -> tuple[MaskedRegions | None, list[Finding]]:
    """Average an image over each mask of a scan; masks may overlap.

    Parameters
    ----------
    files
        The scan; masks have the roles ``mask/<region>``.
    image
        The image that the masks lie on.
    volume
        Volume of a voxel [mm³].

    Returns
    -------
    The regions, or None if no mask serves, and findings: a mask that can't be read, is empty or lies on another grid is
    left out.

    Raises
    ------
    ImageError
        If a value of the image is not finite.
    """
    masks, findings = _read(files, image)
    if not masks:
        return None, findings
    codes = np.zeros(image.shape[1:], np.int32)
    for bit, mask in enumerate(masks.values()):
        codes |= mask.astype(np.int32) << bit
    means = label_means(image, codes, volume, files.role("image")[0])
    source = files.role(f"mask/{next(iter(masks))}")[0]
    overlaps = _overlaps(list(masks), means.labels)
    if overlaps:
        findings.append(MASKS_OVERLAP.found(f"Masks overlap: {', '.join(overlaps)}.", where=source))
    numbers = {bit + 1: name for bit, name in enumerate(masks)}
    return MaskedRegions(
        curves=_curves(tuple(masks), means, volume, source),
        labels=None if overlaps else _numbered(codes, len(masks)),
        names={} if overlaps else numbers,
        image=means.image,
    ), findings


def _read(files: ScanFiles, image: NiftiImage) -> tuple[dict[str, NDArray[np.bool_]], list[Finding]]:
    masks: dict[str, NDArray[np.bool_]] = {}
    findings = []
    for role, uris in files.files.items():
        kind, _, name = role.partition("/")
        if kind != "mask":
            continue
        try:
            masks[name] = _mask(uris, image, len(masks))
        except DlifError as fault:
            message = f"The mask {name} is left out: {fault.message}"
            findings.append(FILES_LEFT_OUT.found(message, where=uris[0], remedy=fault.hint))
    return masks, findings


def _mask(uris: tuple[str, ...], image: NiftiImage, others: int) -> NDArray[np.bool_]:
    if len(uris) > 1:
        raise ImageError(f"there are {len(uris)} masks of this region.", hint="Keep one of them.")
    if others >= _MOST:
        hint = "Write the regions into one label image, *_dseg.nii.gz."
        raise ImageError(f"only {_MOST} masks are read.", hint=hint)
    values = read_labels(uris[0], image)
    numbers = np.unique(values[values != 0])
    if not len(numbers):
        raise ImageError("it is all zero.", hint="Give the mask of a region, or remove it.")
    if len(numbers) > 1:
        listed = ", ".join(map(str, numbers[:5].tolist()))
        raise ImageError(
            f"it holds {len(numbers)} labels ({listed}), so it is no mask.", hint="Name a label image *_dseg.nii.gz."
        )
    return np.asarray(values != 0)


def _curves(names: tuple[str, ...], means: LabelMeans, volume: float, source: str) -> RegionCurves:
    inside = np.array([(means.labels >> bit) & 1 for bit in range(len(names))], dtype=float) * means.voxels
    voxels = inside.sum(axis=1)
    return RegionCurves(names, inside @ means.activity / voxels[:, None], voxels * volume, source)


def _overlaps(names: list[str], codes: NDArray[np.int32]) -> list[str]:
    """Groups of masks that have a voxel in common."""
    shared = [[name for bit, name in enumerate(names) if code >> bit & 1] for code in codes.tolist()]
    return [" and ".join(group) for group in shared if len(group) > 1]


def _numbered(codes: NDArray[np.int32], masks: int) -> Any:
    """Labels 1, 2 … in place of the bits of masks that don't overlap."""
    bits = 1 << np.arange(masks)
    return np.where(codes > 0, np.searchsorted(bits, codes) + 1, 0).astype(np.int32)
