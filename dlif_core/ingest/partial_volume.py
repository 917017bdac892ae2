"""Partial-volume correction from the label image and the point-spread function of the scanner.

Region curves are corrected by the geometric transfer matrix (Rousset OG, Ma Y, Evans AC. Correction for partial volume
effects in PET: principle and validation. J Nucl Med 1998;39:904–911), images by the region-based voxelwise correction
(Thomas BA et al. The importance of appropriate partial volume correction for PET quantification in Alzheimer's disease.
Eur J Nucl Med Mol Imaging 2011;38:1104–1119). Both take each region, and all that lies outside, for homogeneous.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dlif_core.checks.metadata import PARTIAL_VOLUME
from dlif_core.errors import ImageError
from dlif_core.ingest.reader import IngestedScan
from dlif_core.ingest.regions import LabelMeans, label_means, region_curves, summary_of
from dlif_core.validation import Section

Array = NDArray[np.float64]
Width = Annotated[float, Field(gt=0, le=50, allow_inf_nan=False)]

#: Full width at half maximum of a Gaussian of unit standard deviation.
_FWHM = float(2.0 * np.sqrt(2.0 * np.log(2.0)))
#: Standard deviations after which the point-spread function is cut off.
_REACH = 5.0
#: Amplification of noise beyond which regions can't be told apart.
_MOST_AMPLIFIED = 1e3


class PartialVolume(Section):
    """Partial-volume correction of region curves, and of the image.

    Attributes
    ----------
    fwhm
        Full width at half maximum of the Gaussian point-spread function [mm]: one number, or one along each of the
        axes x, y, z of the image.
    method
        ``gtm`` corrects the region curves by the geometric transfer matrix, ``rbv`` the image, too, by the region-based
        voxelwise correction.
    """

    fwhm: Width | tuple[Width, Width, Width]
    method: Literal["gtm", "rbv"] = "gtm"

    def sigma(self, voxel_size: Array) -> Array:
        """Standard deviation of the point-spread function along z, y, x [voxels] for voxels of such edges [mm]."""
        along_xyz = np.broadcast_to(np.asarray(self.fwhm, float), 3)
        return np.asarray(along_xyz[::-1] / _FWHM / voxel_size)


def blurred(image: Array, sigma: Array) -> Array:
    """An image of homogeneous voxels as the scanner sees it at the centres of the voxels.

    Parameters
    ----------
    image
        Shape (z, y, x); beyond its edges it goes on as at them.
    sigma
        Standard deviation of the Gaussian point-spread function along z, y, x [voxels].
    """
    from scipy.ndimage import correlate1d

    result = image
    for axis, width in enumerate(sigma):
        result = correlate1d(result, _weights(float(width)), axis=axis, mode="nearest")
    return np.asarray(result)


def _weights(sigma: float) -> Array:
    """Integral of the point-spread function over each voxel around a centre."""
    from scipy.special import ndtr

    reach = int(np.ceil(_REACH * sigma))
    edges = (np.arange(-reach, reach + 2) - 0.5) / sigma
    weights = np.diff(ndtr(edges))
    return np.asarray(weights / weights.sum())


def transfer_matrix(labels: NDArray[np.int32], numbers: NDArray[np.int32], sigma: Array) -> Array:
    """Geometric transfer matrix of regions.

    Parameters
    ----------
    labels
        Shape (z, y, x).
    numbers
        Labels that occur, the background 0 among them, increasing.
    sigma
        Standard deviation of the point-spread function along z, y, x [voxels].

    Returns
    -------
    Shape (regions, regions): mean that a region of activity 1, in the column, gives in the region of the row. Rows sum
    to 1, since the regions fill the image.
    """
    index = np.searchsorted(numbers, labels)
    voxels = np.bincount(index.ravel(), minlength=len(numbers))
    matrix = np.empty((len(numbers), len(numbers)))
    for region in range(len(numbers)):
        box = _box(index == region, sigma)
        seen = blurred((index[box] == region).astype(float), sigma)
        matrix[:, region] = np.bincount(index[box].ravel(), seen.ravel(), minlength=len(numbers)) / voxels
    return matrix


def _box(inside: NDArray[np.bool_], sigma: Array) -> tuple[slice, ...]:
    """The part of an image that a region reaches once it is blurred."""
    box = []
    for axis, width in enumerate(sigma):
        others = tuple(other for other in range(3) if other != axis)
        places = np.flatnonzero(inside.any(axis=others))
        reach = int(np.ceil(_REACH * width)) + 1
        box.append(slice(max(int(places[0]) - reach, 0), int(places[-1]) + reach + 1))
    return tuple(box)


def corrected_for_partial_volume(read: IngestedScan, options: PartialVolume, image: Any = None) -> IngestedScan:
    """Correct the region curves of a scan, and its image where the options say so.

    Parameters
    ----------
    read
        The scan.
    options
        Method and point-spread function.
    image
        Array of the shape of the image, float32, that the corrected image is written to; needed for ``rbv``.

    Returns
    -------
    The scan with the corrected curves; the measured ones are its `IngestedScan.uncorrected`.

    Raises
    ------
    ImageError
        If the scan has no label image, or its regions can't be told apart with this point-spread function.
    """
    scan, where = read.scan, read.scan.regions.source
    if scan.labels is None or scan.activity is None:
        raise ImageError(
            "the scan has no label image without overlap, so its regions can't be corrected for partial volume.",
            where=where,
            hint="Give a label image, or leave `partial_volume` out.",
        )
    volume = float(scan.voxel_size.prod())
    sigma = options.sigma(scan.voxel_size)
    means = label_means(scan.activity, scan.labels, volume, where)
    recovery, amplified = _inverse(transfer_matrix(scan.labels, means.labels, sigma), where)
    true = replace(means, activity=recovery @ means.activity)
    curves, _ = region_curves(true, scan.label_names, volume, where)
    message = (
        f"Region curves are corrected for partial volume ({options.method}, FWHM {_listed(options)} mm); the noise of "
        f"a region is amplified by up to {amplified:.3g}."
    )
    facts = options.model_dump(mode="json") | {"noise amplified": amplified}
    made = replace(
        read,
        scan=replace(scan, regions=curves),
        uncorrected=scan.regions,
        findings=(*read.findings, PARTIAL_VOLUME.found(message, where=where)),
        provenance={**read.provenance, "partial volume": facts},
    )
    return made if options.method == "gtm" else _with_image(made, true, sigma, image)


def _listed(options: PartialVolume) -> str:
    return " × ".join(f"{width:g}" for width in np.ravel(options.fwhm))


def _inverse(matrix: Array, where: str) -> tuple[Array, float]:
    """The inverse of a transfer matrix, and by how much it amplifies noise of the regions that is independent."""
    try:
        inverse = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        inverse = np.full_like(matrix, np.inf)
    amplified = float(np.linalg.norm(inverse, axis=1).max())
    if not amplified <= _MOST_AMPLIFIED:
        raise ImageError(
            "regions are so small against the point-spread function that it does not tell them apart.",
            where=where,
            hint="Join small regions in the label image, or check `fwhm` [mm] and the voxel size.",
        )
    return np.asarray(inverse, dtype=float), amplified


def _with_image(read: IngestedScan, true: LabelMeans, sigma: Array, target: Any) -> IngestedScan:
    """The scan with its image corrected voxel by voxel, frame by frame."""
    scan = read.scan
    assert scan.activity is not None, "a scan that is corrected has an image"
    assert scan.labels is not None, "a scan that is corrected has labels"
    index = np.searchsorted(true.labels, scan.labels)
    for frame in range(len(scan.timing)):
        homogeneous = np.maximum(true.activity[:, frame], 0.0)[index]
        seen = blurred(homogeneous, sigma)
        factor = np.divide(homogeneous, seen, out=np.ones_like(seen), where=seen > 0)
        target[frame] = scan.activity[frame] * factor
    volume = float(scan.voxel_size.prod())
    return replace(
        read, scan=replace(scan, activity=target), image=summary_of(target, volume, read.places.get("image", ""))
    )
