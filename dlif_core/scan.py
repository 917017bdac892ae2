"""A dynamic scan: acquisition metadata, frame timing, image and region curves, validated once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.errors import CurveError, ImageError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.species import species_name

Array = NDArray[np.float64]

#: Name of the only region of a scan without labels.
WHOLE_IMAGE = "whole image"

# names of FDG without signs; FDGal is galactose, FDG-6-P its phosphate
_FDG = re.compile(r"fdg(?!al|6p)|fluoro?2?d(e|es)oxyd?glucose|fludeoxyglucose|deoxy2(18f|f18)?fluorod?glucose")


def is_fdg(tracer: str) -> bool:
    """Whether a tracer name, in any usual spelling, means FDG; FDG has no metabolites in plasma."""
    return bool(_FDG.search(re.sub(r"[^0-9a-z]", "", tracer.lower())))


@dataclass(frozen=True)
class Acquisition:
    """What kinetics and reports need to know about a scan; nothing that names a person.

    Attributes
    ----------
    tracer
        Name of the radiopharmaceutical.
    half_life
        Physical half-life of the radionuclide [s]; infinite where nothing decays.
    injected_activity
        Injected activity at the reference time [Bq], or None if unknown.
    body_weight
        Body weight [kg], or None if unknown.
    decay_corrected
        Whether the data are decay-corrected to the reference time.
    species
        ``"mouse"``, ``"human"`` … or "" if it is unknown, as None is; Latin names and common strains, such as
        ``"Mus musculus"`` and ``"C57BL/6"``, become these.
    refused
        Why dose or weight is withheld, with file and remedy; "" where neither is.
    injection_start
        Time of injection on the time axis of the scan's own files [s], from which other files of the scan may count as
        well; None where nothing says it. Frames and blood of the scan count from injection.

    Raises
    ------
    InputError
        If tracer or species is no text, the half-life is not positive, or dose or weight is negative or not finite.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> mouse = dlif.Acquisition("FDG", half_life=6586.2, injected_activity=10e6, body_weight=0.022, species="mouse")
    >>> round(1e6 * mouse.suv_factor, 3)
    2.2
    """

    tracer: str
    half_life: float
    injected_activity: float | None = None
    body_weight: float | None = None
    decay_corrected: bool = True
    species: str = ""
    refused: str = ""
    injection_start: float | None = None

    def __post_init__(self) -> None:
        for name in ("tracer", "species"):
            object.__setattr__(self, name, _text(getattr(self, name), name))
        object.__setattr__(self, "species", species_name(self.species))
        _require_number(self.half_life, "half_life", 0.0, "Give the half-life in seconds, above zero.", infinite=True)
        for name, unit in (("injected_activity", "Bq"), ("body_weight", "kg")):
            value = getattr(self, name)
            if not (value is None or (_is_number(value) and value == 0)):  # zero is the same as unknown
                _require_number(value, name, 0.0, f"Give it in {unit}, or None if it is unknown.")
        if self.injection_start is not None:
            _require_number(self.injection_start, "injection_start", -math.inf, "Give it in s, or None.")

    @property
    def suv_factor(self) -> float | None:
        """Factor from Bq/mL to SUV [g/mL per Bq/mL], or None without dose or weight."""
        if not self.injected_activity or not self.body_weight:
            return None
        return 1000.0 * self.body_weight / self.injected_activity


def _text(value: Any, name: str) -> str:
    """A text, "" for None; anything else is refused."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{name} is {value!r}.", where=f"acquisition, {name}", hint="Give its name, or None.")
    return str(value)


def _is_number(value: object) -> bool:
    """Whether a value is one number; booleans and text are none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _require_number(value: Any, name: str, above: float, hint: str, *, infinite: bool = False) -> None:
    """Refuse what is not a number above a limit."""
    if not _is_number(value) or not value > above or (math.isinf(value) and not infinite):
        raise InputError(f"{name} is {value!r}.", where=f"acquisition, {name}", hint=hint)


@dataclass(frozen=True, eq=False)
class RegionCurves:
    """Mean time-activity curves of regions.

    Attributes
    ----------
    names
        Region names, unique.
    activity
        Shape (regions, frames) [Bq/mL].
    volume
        Region volumes [mm³], shape (regions,); NaN where unknown.
    source
        File or label map they came from.

    Raises
    ------
    CurveError
        If there is no region, names are not unique, shapes don't match, or a value is not a finite number.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> curves = dlif.RegionCurves(("cortex", "cerebellum"), [[0, 900, 700], [0, 800, 400]], [400.0, 50.0])
    >>> curves.activity.shape
    (2, 3)
    """

    names: tuple[str, ...]
    activity: Array
    volume: Array
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", _names(self.names, self.source))
        for name in ("activity", "volume"):
            object.__setattr__(self, name, _numbers(getattr(self, name), name, self.source))
        _require_region_names(self.names, self.source)
        regions = len(self.names)
        if self.activity.ndim != 2 or len(self.activity) != regions or self.volume.shape != (regions,):
            raise CurveError(
                f"there are {regions} region names, but curves of shape {self.activity.shape} and volumes of shape "
                f"{self.volume.shape}.",
                where=self.source,
                hint="Curves need the shape (regions, frames), volumes (regions,).",
            )
        if not np.isfinite(self.activity).all():
            name = self.names[int(np.argmax(~np.isfinite(self.activity).all(axis=1)))]
            raise CurveError(
                f"region {name!r} holds values that are not finite.",
                where=self.source,
                hint="Correct or drop the region.",
            )


def _numbers(values: ArrayLike, name: str, where: str) -> Array:
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise CurveError(
            f"{name} does not hold numbers in rows of one length.", where=where, hint="Give an array of numbers."
        ) from None


def _names(names: object, where: str) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable) or np.ndim(names) == 0:  # type: ignore[arg-type]
        raise CurveError(f"{names!r} is no list of region names.", where=where, hint="Give one name for each region.")
    return tuple(str(name) for name in names)


def _require_region_names(names: Sequence[str], where: str) -> None:
    if not names:
        raise CurveError("there is no region.", where=where, hint="Give the curve of one region at least.")
    if len(set(names)) != len(names):
        raise CurveError("region names are not unique.", where=where, hint="Rename the duplicate columns.")


class ImageArray(Protocol):
    """A 4D image that is read by slicing: a NumPy array, a Zarr array or a view of a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each dimension."""

    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class DynamicScan:
    """One dynamic scan. The image may lie on disk and is read by slicing.

    Attributes
    ----------
    timing
        One entry for each frame.
    acquisition
        Metadata.
    regions
        Region curves; a scan without label map has the one region ``whole image``.
    activity
        Shape (frames, z, y, x), float32 [Bq/mL]; None for a study of region curves alone.
    affine
        Shape (4, 4), voxel index (x, y, z) to mm, as in NIfTI; None without image.
    labels
        Integer region labels, shape (z, y, x), or None.
    label_names
        Name of each label.

    Raises
    ------
    ImageError
        If shapes contradict each other. That values are finite is checked as they stream in, by ingest.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> scan = dlif.DynamicScan(
    ...     timing=dlif.FrameTiming([0, 60], [60, 60]),
    ...     acquisition=dlif.Acquisition("FDG", half_life=6586.2),
    ...     regions=dlif.RegionCurves(("cortex",), [[3e3, 5e3]], [400.0]),
    ... )
    >>> scan.activity is None
    True
    """

    timing: FrameTiming
    acquisition: Acquisition
    regions: RegionCurves
    activity: ImageArray | None = None
    affine: Array | None = None
    labels: NDArray[np.int32] | None = None
    label_names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.regions.activity.shape[1] != len(self.timing):
            raise CurveError(
                f"the region curves have {self.regions.activity.shape[1]} frames, the scan {len(self.timing)}.",
                where=self.regions.source,
            )
        if self.activity is not None:
            _require_consistent_image(self.activity.shape, len(self.timing), self.labels)

    @property
    def voxel_size(self) -> Array:
        """Edge lengths of a voxel along z, y, x [mm]; only for a scan with image."""
        assert self.affine is not None, "a scan without image has no voxels"
        return voxel_size(self.affine)


def _require_consistent_image(shape: tuple[int, ...], frames: int, labels: NDArray[np.int32] | None) -> None:
    if len(shape) != 4:
        raise ImageError(f"a dynamic image has four dimensions, this one has shape {shape}.")
    if shape[0] != frames:
        raise ImageError(
            f"the image has {shape[0]} frames, its timing {frames}.",
            hint="FrameTimesStart and FrameDuration must have one number for each frame of the image.",
        )
    if labels is not None and labels.shape != shape[1:]:
        raise ImageError(
            f"the label map has shape {labels.shape}, the image {shape[1:]}.",
            hint="Resample the label map to the image.",
        )


def voxel_size(affine: ArrayLike) -> Array:
    """Edge lengths of a voxel along z, y, x [mm] from a NIfTI affine of shape (4, 4)."""
    return np.asarray(np.linalg.norm(np.asarray(affine, float)[:3, :3], axis=0)[::-1])
