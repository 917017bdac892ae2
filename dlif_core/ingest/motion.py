"""Motion correction between frames: each frame is registered rigidly with the mean of late frames.

Frame-by-frame realignment of reconstructed images, as in Mourik et al. Off-line motion correction methods for
multi-frame PET data. Eur J Nucl Med Mol Imaging 2009;36:2002–2013; here by SimpleITK, with mutual information as the
measure of likeness (Mattes et al. PET-CT image registration in the chest using free-form deformations. IEEE Trans Med
Imaging 2003;22:120–128), because what is bright changes during a scan. Motion within a frame, and that between emission
and attenuation map, stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from dlif_core.checks.metadata import MOTION
from dlif_core.errors import ImageError, InputError
from dlif_core.ingest.reader import IngestedScan
from dlif_core.ingest.regions import WHOLE_IMAGE, label_means, region_curves
from dlif_core.scan import DynamicScan
from dlif_core.validation import Section

Array = NDArray[np.float64]
Minute = Annotated[float, Field(ge=0, allow_inf_nan=False)]

#: Share of the scan whose frames are the reference, at its end.
_LATE = 1.0 / 3.0
#: Counts of a frame, as a share of those of a frame of the reference, below which it is not registered itself.
_FEWEST = 0.05
#: Correlation with the reference, once a frame is registered, below which it is too unlike it to be believed.
_LEAST_LIKE = 0.5
#: Displacement that is none, as a share of the smallest edge of a voxel; such frames are left as they are.
_STILL = 0.2
#: Share of the highest activity of the reference above which a voxel counts for the displacement.
_BRIGHT = 0.1
#: Voxels of an image at the last, finest step of a registration.
_MOST_VOXELS = 500_000
_FEWEST_PLANES = 16
#: Widths of the blur [smallest edges], from coarse to fine, and the first step of each search.
_BLURS, _FIRST_STEP = (3.0, 2.0, 1.0, 0.7), 0.5
_BINS, _ITERATIONS, _RELAXATION = 32, 300, 0.7
#: Cosine of the angle between two axes of an image that are at right angles, rounding aside.
_RIGHT_ANGLE = 1e-3


class MotionCorrection(Section):
    """Motion correction between frames.

    Attributes
    ----------
    reference
        Start and end of the reference [min from injection]: the mean of the frames whose middle lies between them; left
        out, the last third of the scan, or its last frame where that is longer. Labels and masks must fit this mean.
    """

    reference: tuple[Minute, Minute] | None = None

    @model_validator(mode="after")
    def _can_be_done(self) -> MotionCorrection:
        if self.reference is not None and not self.reference[0] < self.reference[1]:
            raise ValueError("the reference must end after it starts")
        if find_spec("SimpleITK") is None:
            raise ValueError("it needs SimpleITK; install it with `pip install 'dlif[registration]'`")
        return self


class Moved(NamedTuple):
    """How a frame lies against the reference.

    Attributes
    ----------
    rotation
        Angles about the axes x, y, z of the image, through its centre [rad].
    translation
        Shift along the axes x, y, z [mm].
    like
        Frame, counted from 0, whose registration this is: another than the frame itself where that has too few counts
        or is too unlike the reference.
    """

    rotation: tuple[float, float, float]
    translation: tuple[float, float, float]
    like: int


def corrected_for_motion(read: IngestedScan, options: MotionCorrection, target: Any) -> IngestedScan:
    """Bring the frames of a scan onto its reference.

    Parameters
    ----------
    read
        The scan.
    options
        The reference.
    target
        Array of the shape of the image, float32, that the corrected image is written to.

    Returns
    -------
    The scan with the corrected image, and curves of its regions from it.

    Raises
    ------
    ImageError
        If the scan has no image, its axes are not at right angles, or a frame can't be registered.
    InputError
        If no frame lies in the reference.
    """
    scan, where = read.scan, read.places.get("image", read.scan.regions.source)
    if scan.activity is None:
        raise ImageError("the scan has no image to correct for motion.", where=where, hint="Leave it out of the study.")
    _require_right_angles(scan, where)
    late = _reference_frames(scan, options, where)
    edges = scan.voxel_size
    reference = _mean(scan, late)
    found = _all_registered(scan, late, reference, where)
    moved = [found[_nearest(frame, sorted(found))] for frame in range(len(scan.timing))]
    places = _bright_places(reference, edges)
    distance = np.array([_displacement(one, places, edges, reference.shape) for one in moved])
    away = distance >= _STILL * edges.min()
    for frame, one in enumerate(moved):
        image = scan.activity[frame]
        target[frame] = _brought_back(image, one, edges) if away[frame] else image
    return _with_image(read, target, where, _facts(late, moved, distance, away))


def _require_right_angles(scan: DynamicScan, where: str) -> None:
    assert scan.affine is not None, "an image has an affine"
    axes = scan.affine[:3, :3] / np.linalg.norm(scan.affine[:3, :3], axis=0)
    if np.abs(axes.T @ axes - np.eye(3)).max() > _RIGHT_ANGLE:
        raise ImageError(
            "the axes of the image are not at right angles, so a rotation can't be told from a shear.",
            where=where,
            hint="Resample the image, or leave motion correction out.",
        )


def _reference_frames(scan: DynamicScan, options: MotionCorrection, where: str) -> NDArray[np.intp]:
    if options.reference is None:
        end = scan.timing.end[-1]
        start = end - _LATE * (end - max(scan.timing.start[0], 0.0))
        frames = np.flatnonzero(scan.timing.mid >= start)
        return frames if len(frames) else np.array([len(scan.timing) - 1])
    first, last = options.reference
    late = np.flatnonzero((scan.timing.mid >= 60.0 * first) & (scan.timing.mid <= 60.0 * last))
    if not len(late):
        raise InputError(
            f"no frame has its middle from {first:g} to {last:g} min.",
            where=where,
            hint="Correct `reference` of `motion_correction` [min from injection].",
        )
    return late


def _mean(scan: DynamicScan, frames: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float32]:
    """Mean of frames, weighted by their durations, shape (z, y, x)."""
    assert scan.activity is not None, "a scan that is corrected has an image"
    weights = scan.timing.duration[frames] / scan.timing.duration[frames].sum()
    total = np.zeros(scan.activity.shape[1:])
    for frame, weight in zip(frames, weights, strict=True):
        total += weight * scan.activity[int(frame)]
    return total.astype(np.float32)


def _counts(scan: DynamicScan) -> Array:
    """What is in proportion to the decays that each frame saw."""
    assert scan.activity is not None, "a scan that is corrected has an image"
    seen = np.array([np.asarray(scan.activity[frame]).sum(dtype=float) for frame in range(len(scan.timing))])
    decay = np.exp2(-scan.timing.mid / scan.acquisition.half_life) if scan.acquisition.decay_corrected else 1.0
    return np.asarray(seen * scan.timing.duration * decay)


def _all_registered(
    scan: DynamicScan, late: NDArray[np.intp], reference: NDArray[np.float32], where: str
) -> dict[int, Moved]:
    """Where each frame lies that can be told; those of the reference always can."""
    assert scan.activity is not None, "a scan that is corrected has an image"
    counts, edges, found = _counts(scan), scan.voxel_size, {}
    for frame in map(int, np.flatnonzero(counts >= _FEWEST * np.median(counts[late]))):
        image = scan.activity[frame]
        one = _registered(reference, image, edges, where, frame)
        if frame in late or _likeness(reference, _brought_back(image, one, edges), edges) >= _LEAST_LIKE:
            found[frame] = one
    return found


def _likeness(reference: NDArray[np.float32], frame: NDArray[np.float32], edges: Array) -> float:
    """Correlation of two images after a blur of a voxel."""
    import SimpleITK as sitk

    blurred = (sitk.SmoothingRecursiveGaussian(_itk(image, edges), edges.min()) for image in (reference, frame))
    return float(np.corrcoef([sitk.GetArrayFromImage(image).ravel() for image in blurred])[0, 1])


def _nearest(frame: int, registered: Sequence[int]) -> int:
    """The frame itself if it is registered, else the next that is; after the last, that."""
    return next((other for other in registered if other >= frame), registered[-1])


def _itk(image: NDArray[np.float32], edges: Array) -> Any:
    """An image along its own axes [mm], the corner at zero."""
    import SimpleITK as sitk

    made = sitk.GetImageFromArray(np.ascontiguousarray(image, dtype=np.float32))
    made.SetSpacing(edges[::-1].tolist())
    return made


def _centre(shape: Sequence[int], edges: Array) -> Array:
    """Centre of an image along x, y, z [mm]."""
    return np.asarray((0.5 * (np.array(shape) - 1) * edges)[::-1])


def _transform(moved: Moved, shape: Sequence[int], edges: Array) -> Any:
    import SimpleITK as sitk

    return sitk.Euler3DTransform(_centre(shape, edges).tolist(), *moved.rotation, moved.translation)


def _registered(reference: NDArray[np.float32], frame: Any, edges: Array, where: str, number: int) -> Moved:
    """Where a frame lies against the reference."""
    import SimpleITK as sitk

    method, smallest, step = sitk.ImageRegistrationMethod(), float(edges.min()), _shrink(reference.shape)
    method.SetNumberOfThreads(1)  # the same sum in the same order, whatever the machine
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetInterpolator(sitk.sitkLinear)
    search = (_FIRST_STEP * smallest, 0.002 * smallest, _ITERATIONS, _RELAXATION, 1e-8)
    method.SetOptimizerAsRegularStepGradientDescent(*search)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2 * step if _fits(reference.shape, 2 * step) else step, *[step] * 3])
    method.SetSmoothingSigmasPerLevel([width * step * smallest for width in _BLURS])
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
    start = _transform(Moved((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), number), reference.shape, edges)
    method.SetInitialTransform(start, inPlace=True)
    try:
        method.Execute(_itk(reference, edges), _itk(frame, edges))
    except RuntimeError as fault:
        raise ImageError(
            f"frame {number + 1} can't be registered with the reference.",
            where=where,
            hint="Look at the frame; leave motion correction out, or choose another `reference`.",
        ) from fault
    angles = (start.GetAngleX(), start.GetAngleY(), start.GetAngleZ())
    return Moved(angles, tuple(start.GetTranslation()), number)


def _shrink(shape: Sequence[int]) -> int:
    """How many voxels of an edge are joined at the finest step."""
    return next((step for step in (1, 2) if np.prod(shape) <= _MOST_VOXELS * step**3 or not _fits(shape, 2 * step)), 4)


def _fits(shape: Sequence[int], step: int) -> bool:
    return min(shape) >= _FEWEST_PLANES * step


def _brought_back(frame: Any, moved: Moved, edges: Array) -> NDArray[np.float32]:
    """A frame on the reference, by linear interpolation; what comes from outside is as at the edge."""
    import SimpleITK as sitk

    image = _itk(frame, edges)
    resampler = sitk.ResampleImageFilter()
    resampler.SetNumberOfThreads(1)
    resampler.SetReferenceImage(image)
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetUseNearestNeighborExtrapolator(True)
    resampler.SetTransform(_transform(moved, np.shape(frame), edges))
    return np.asarray(sitk.GetArrayFromImage(resampler.Execute(image)))


def _bright_places(reference: NDArray[np.float32], edges: Array) -> Array:
    """Voxels of the reference that are bright, along x, y, z [mm], shape (voxels, 3)."""
    return np.asarray((np.argwhere(reference >= _BRIGHT * reference.max()) * edges)[:, ::-1])


def _displacement(moved: Moved, places: Array, edges: Array, shape: Sequence[int]) -> float:
    """Mean distance [mm] by which places are moved."""
    transform = _transform(moved, shape, edges)
    turn, centre = np.array(transform.GetMatrix()).reshape(3, 3), _centre(shape, edges)
    shifted = (places - centre) @ turn.T + centre + np.array(moved.translation)
    return float(np.linalg.norm(shifted - places, axis=1).mean())


def _facts(late: NDArray[np.intp], moved: Sequence[Moved], distance: Array, away: NDArray[np.bool_]) -> dict[str, Any]:
    """What was found, frames counted from 1, as plain values."""
    return {
        "reference frames": [int(frame) + 1 for frame in late],
        "frames": [
            {
                "displacement [mm]": round(float(distance[frame]), 4),
                "translation [mm]": [round(value, 4) for value in one.translation],
                "rotation [deg]": [round(float(np.degrees(value)), 4) for value in one.rotation],
                "registered": one.like + 1,
                "moved": bool(away[frame]),
            }
            for frame, one in enumerate(moved)
        ],
    }


def _with_image(read: IngestedScan, image: Any, where: str, facts: dict[str, Any]) -> IngestedScan:
    """The scan with another image, the curves of its regions from it, and what was done."""
    scan = read.scan
    volume = float(scan.voxel_size.prod())
    whole = scan.regions.names == (WHOLE_IMAGE,)
    everywhere = np.broadcast_to(np.int32(1), image.shape[1:])
    means = label_means(image, everywhere if scan.labels is None else scan.labels, volume, where)
    regions, told = scan.regions, " Its region curves are not made of its labels, and are as they were."
    if whole or scan.labels is not None:
        names = {1: WHOLE_IMAGE} if scan.labels is None else scan.label_names
        regions, told = region_curves(means, names, volume, scan.regions.source)[0], ""
    most = max(facts["frames"], key=lambda frame: frame["displacement [mm]"])
    late, number = facts["reference frames"], facts["frames"].index(most) + 1
    onto = f"the mean of frames {late[0]} to {late[-1]}" if len(late) > 1 else f"frame {late[0]}"
    message = (
        f"{sum(frame['moved'] for frame in facts['frames'])} of {len(facts['frames'])} frames are moved onto {onto}; "
        f"the largest displacement is {most['displacement [mm]']:.2g} mm, in frame {number}."
    )
    return replace(
        read,
        scan=replace(scan, activity=image, regions=regions),
        image=means.image,
        findings=(*read.findings, MOTION.found(message + told, where=where)),
        provenance={**read.provenance, "motion": facts},
    )
