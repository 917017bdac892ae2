"""Scans from arrays: NumPy, dask and xarray."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.api.acquisitions import acquisition_of, pet_bids_fields
from dlif_core.api.blood_tables import GivenBlood, given_blood
from dlif_core.api.checked import checked
from dlif_core.api.notices import warn
from dlif_core.api.pet_scan import PetScan
from dlif_core.api.tables import agreed_factor
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.errors import ConfigurationError, CurveError, FrameTimingError, ImageError
from dlif_core.frames import FrameTiming
from dlif_core.ingest.regions import WHOLE_IMAGE
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves
from dlif_core.units import factor

Array = NDArray[np.float64]

_FRAME_DIMS = ("frame", "time")
_SPACE = ("z", "y", "x")
_KINDS = "dimensions (regions, frames) for curves or (frames, z, y, x) for an image"


def from_arrays(
    activity: Any,
    timing: FrameTiming | None = None,
    *,
    units: str | None = None,
    names: Sequence[str] | None = None,
    blood: GivenBlood = None,
    blood_units: str | None = None,
    radionuclide: str | None = None,
    acquisition: Acquisition | None = None,
    affine: Any = None,
    accept: Collection[str] = (),
) -> PetScan:
    """Make a scan of an array of region curves, or of a dynamic image.

    Parameters
    ----------
    activity
        Decay-corrected to injection, in `units`: region curves of shape (frames,) or (regions, frames), or an image of
        shape (frames, z, y, x); NumPy, dask or xarray. An xarray array has a dimension ``frame``, which may stand
        anywhere, and states what it can: coordinates ``frame_start`` and ``frame_duration`` [s], attributes ``units``,
        ``tracer`` and ``half_life`` [s]. A dask image stays lazy, but for its mean curve, for which it is read once.
    timing
        Frames; None where the array has them as coordinates.
    units
        Unit of the activity, such as ``kBq/mL``; None where the array states it.
    names
        Names of the regions.
    blood, blood_units
        Table of blood or input function, and the unit of the table's activities, see `read_curves`.
    radionuclide
        Name such as ``C11``, for its half-life; None where the array states its half-life.
    acquisition
        Tracer, half-life, dose and weight in one, given in place of `radionuclide`.
    affine
        Voxel index (x, y, z) to mm as in NIfTI, shape (4, 4); None where it is not known.
    accept
        Names of checks whose doubts about the data are accepted, as `accept` in a study file. An image is checked by
        its mean curve.

    Raises
    ------
    UnitError
        If the unit is missing, unknown or contradicts the array's.
    InputError
        If shapes and frames don't match, or the half-life is unknown.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> timing = dlif.FrameTiming(start=[0, 60, 120], duration=[60, 60, 180])
    >>> dlif.from_arrays([[0, 9, 7], [0, 8, 4]], timing, units="kBq/mL", names=["a", "b"], radionuclide="F18")
    <PetScan: 3 frames to 5 min, 2 regions, no image, no blood>
    >>> dlif.from_arrays(np.ones((3, 4, 5, 6)), timing, units="kBq/mL", radionuclide="F18")
    <PetScan: 3 frames to 5 min, 1 region, image of 4 x 5 x 6 voxels, no blood>
    """
    values, about = _taken_apart(activity)
    frames = _frames(timing, about)
    scale = agreed_factor(about.get("units"), units, "concentration", "units", "activity")
    described, notes = acquisition_of(acquisition, radionuclide, pet_bids_fields(about), "activity")
    recordings, curve, of_blood = given_blood(blood, blood_units, None)
    notes += of_blood
    if values.ndim in (1, 2):
        regions = _regions(values, len(frames), scale, names if names is not None else about.get("names"))
        scan, recordings, found = checked(DynamicScan(frames, described, regions), recordings, accept)
    else:
        image = _image_scan(values, frames, described, scale, affine)
        scan, recordings, found = _checked_image(image, recordings, accept)
    warn(notes + found)
    space = (about.get("dims", ("z", "y", "x")), about.get("coords", {}))
    return PetScan(scan, recordings, curve, notes + found, tuple(accept), *space)


def _checked_image(
    image: DynamicScan, blood: tuple[BloodRecording, ...], accept: Collection[str]
) -> tuple[DynamicScan, tuple[BloodRecording, ...], tuple[str, ...]]:
    """Check an image by its mean curve; frames of an array can't be left out, so empty ones are refused."""
    mean = DynamicScan(image.timing, image.acquisition, image.regions)
    scan, blood, found = checked(mean, blood, accept)
    if len(scan.timing) < len(image.timing):
        raise ImageError(" ".join(found), where="activity", hint="Leave these frames out of the array and of timing.")
    return replace(image, acquisition=scan.acquisition), blood, found


def _taken_apart(activity: Any) -> tuple[Any, dict[str, Any]]:
    """The array with dlif's order of dimensions, and what an xarray array says about itself."""
    if hasattr(activity, "dims") and hasattr(activity, "coords"):
        return _of_xarray(activity)
    if not _is_dask(activity):
        try:
            activity = _filled(activity)
        except ValueError:
            raise CurveError(
                "the rows differ in length.", where="activity", hint=f"Give an array of {_KINDS}."
            ) from None
    _require_numbers(activity)
    return activity, {}


def _filled(activity: Any) -> Any:
    """A NumPy array; what is masked is not a number."""
    if isinstance(activity, np.ma.MaskedArray):
        return np.ma.filled(activity.astype(np.promote_types(activity.dtype, np.float32)), np.nan)
    return np.asarray(activity)


def _of_xarray(array: Any) -> tuple[Any, dict[str, Any]]:
    frame = next((dim for dim in _FRAME_DIMS if dim in array.dims), None)
    others = tuple(str(dim) for dim in array.dims if dim != frame)
    others = _SPACE if set(others) == set(_SPACE) else others
    if frame is None or len(others) not in (0, 1, 3):
        raise ImageError(
            f"the array has the dimensions {', '.join(map(str, array.dims))}.",
            where="activity",
            hint="Name the dimension of frames 'frame', beside one of regions or three of space.",
        )
    ordered = array.transpose(frame, *others) if len(others) == 3 else array.transpose(*others, frame)
    _require_numbers(ordered.data)
    about = dict(array.attrs) | {
        name: _seconds(array.coords[name], name) for name in ("frame_start", "frame_duration") if name in array.coords
    }
    if len(others) == 1 and others[0] in array.coords:
        about["names"] = [str(name) for name in array.coords[others[0]].values]
    if len(others) == 3:
        coords = {name: (v.dims, v.values, v.attrs) for name, v in array.coords.items() if set(v.dims) <= set(others)}
        about |= {"dims": others, "coords": coords}
    return ordered.data, about


def _seconds(coordinate: Any, name: str) -> Array:
    """A coordinate of times [s], which may be time spans, or numbers that state a unit."""
    values = np.asarray(coordinate.values)
    if values.dtype.kind == "m":
        return values / np.timedelta64(1, "s")
    if values.dtype.kind not in "fiu":
        raise FrameTimingError(f"{name} holds {values.dtype}.", where="activity", hint="Give numbers of seconds.")
    return values * factor(str(coordinate.attrs.get("units") or "s"), "time", where=f"activity, {name}")


def _is_dask(array: Any) -> bool:
    return hasattr(array, "dask") and hasattr(array, "rechunk")


def _require_numbers(array: Any) -> None:
    if array.dtype.kind not in "fiu":
        raise CurveError(f"it holds {array.dtype}, not numbers.", where="activity", hint="Give real numbers.")
    if array.ndim not in (1, 2, 4) or 0 in array.shape:
        raise ImageError(
            f"it has the shape {tuple(array.shape)}.", where="activity", hint=f"Give an array of {_KINDS}."
        )


def _frames(timing: FrameTiming | None, about: Mapping[str, Any]) -> FrameTiming:
    stated = None
    if "frame_start" in about and "frame_duration" in about:
        stated = FrameTiming(about["frame_start"], about["frame_duration"], where="activity")
    if stated is not None and isinstance(timing, FrameTiming) and timing != stated:
        raise FrameTimingError(
            "timing is not that of the array's coordinates frame_start and frame_duration.",
            where="activity",
            hint="Leave timing out, or drop the coordinates.",
        )
    if isinstance(timing, FrameTiming):
        return timing
    if timing is None and stated is not None:
        return stated
    raise FrameTimingError(
        "the frame times are unknown." if timing is None else f"timing is a {type(timing).__name__}.",
        where="activity",
        hint="Give timing=dlif.FrameTiming(start, duration) in seconds, or an xarray array with the coordinates "
        "frame_start and frame_duration.",
    )


def _regions(values: Any, frames: int, scale: float, names: Sequence[str] | None) -> RegionCurves:
    curves = np.atleast_2d(np.asarray(values, float)) * scale
    if curves.shape[1] != frames:
        transposed = " They look transposed." if len(curves) == frames else ""
        raise CurveError(
            f"the curves have the shape {curves.shape} for {frames} frames.{transposed}",
            where="activity",
            hint="Give them as (regions, frames), with one value for each frame.",
        )
    given = tuple(f"region {i + 1}" for i in range(len(curves))) if names is None else names
    return RegionCurves(given, curves, np.full(len(curves), np.nan), "array")  # type: ignore[arg-type]


def _image_scan(image: Any, timing: FrameTiming, acquisition: Acquisition, scale: float, affine: Any) -> DynamicScan:
    if image.shape[0] != len(timing):
        raise ImageError(
            f"the image has the shape {tuple(image.shape)} for {len(timing)} frames.",
            where="activity",
            hint="The first dimension is that of the frames: give (frames, z, y, x).",
        )
    whole_or_half = image.dtype.kind != "f" or image.dtype.itemsize < np.dtype(np.float32).itemsize
    image = image.astype(np.float32) if whole_or_half else image
    image = image if scale == 1.0 else image * image.dtype.type(scale)
    mean = RegionCurves((WHOLE_IMAGE,), mean_curve(image)[None], np.full(1, np.nan), "image")
    return DynamicScan(timing, acquisition, mean, image, _affine(affine))


def mean_curve(image: Any) -> Array:
    """Mean of the voxels that are finite in all frames, shape (frames,); zero where none is."""
    finite = np.isfinite(image).all(axis=0)
    total = np.where(finite, image, 0).sum(axis=(1, 2, 3), dtype=np.float64)
    count = np.maximum(finite.sum(), 1)
    return np.asarray(total / count, float)


def _affine(affine: Any) -> Array | None:
    if affine is None:
        return None
    try:
        matrix = np.array(affine, dtype=float)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise ConfigurationError("affine is no matrix of shape (4, 4).", where="affine", hint="Give that of the NIfTI.")
    return matrix
