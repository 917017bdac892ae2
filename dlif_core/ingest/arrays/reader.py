"""The format of arrays: a Zarr group ``*.zarr`` that holds a dynamic image as xarray writes one.

The image is the one variable with four dimensions: frames (``frame``, ``time`` or ``t``) and ``z``, ``y``, ``x`` in any
order. Frames lie in ``frame_start`` and ``frame_duration``, the place of the voxels in coordinates ``x``, ``y``, ``z``
[mm] or in an attribute ``affine``; other attributes are fields of a PET-BIDS sidecar.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import DlifError, ImageError, InputError, MissingInputError
from dlif_core.foreign_faults import without_quotations
from dlif_core.ingest.described import DescribedScan, SeriesOptions
from dlif_core.ingest.reader import ImageGeometry, ScanFiles, ScanSource
from dlif_core.ingest.series_files import files_below, named_scans, walked
from dlif_core.ingest.tables import read_json
from dlif_core.ingest.uris import FETCH_AGAIN, exists, local_path

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

_ENDING = ".zarr"
_METADATA = ("zarr.json", ".zmetadata", ".zgroup", ".zattrs", ".zarray")
_FRAMES, _SPACE = ("frame", "time", "t"), ("z", "y", "x")
#: File by which dlif's own stores are known.
_STORE = "dlif-store.json"
_TOLERANCE = 1e-3  # of the distance between voxels


class ArrayGroups:
    """Dynamic images in Zarr groups."""

    name: ClassVar = "zarr"
    title: ClassVar = "Zarr"
    version: ClassVar = 1
    looks_for: ClassVar = "*.zarr"
    options: ClassVar = SeriesOptions

    def recognises(self, uri: str) -> bool:
        """Tell whether there is a Zarr group below a URI that is no store of dlif."""
        found = walked(uri, lambda name: name == _STORE or name in _METADATA, depth=4)
        return not any(path.endswith(_STORE) for path in found) and bool(_groups(found))

    def find(self, source: ScanSource) -> list[ScanFiles]:
        """List the scans below a URI, each a group with all its files."""
        found = files_below(source.uri, lambda name: True)
        groups = _groups(found)
        return named_scans(
            source,
            self.name,
            {group: {"image": tuple(found[path] for path in sorted(paths))} for group, paths in groups.items()},
        )

    @contextmanager
    def describe(self, files: ScanFiles) -> Iterator[DescribedScan]:
        """Describe a scan; its image can be read until the context ends."""
        where = _address(files)
        _require_files(files.role("image"))
        with _opened(where) as group:
            with _faults(where):
                image = _image(group, where)
                fields = _fields(group, image.variable, where)
            yield DescribedScan(fields, where, image)

    def geometry(self, files: ScanFiles) -> ImageGeometry:
        """Read the grid of a scan's image from the metadata of its arrays."""
        where = _address(files)
        with _opened(where) as group, _faults(where):
            image = _image(group, where)
            edges = np.linalg.norm(image.affine[:3, :3], axis=0)
            return ImageGeometry(image.shape, tuple(float(edge) for edge in edges[::-1]))


@dataclass(frozen=True, eq=False)
class _GroupImage:
    """The image of a group.

    Attributes
    ----------
    variable
        The variable with dimensions (frames, z, y, x).
    affine
        Shape (4, 4), voxel index (x, y, z) to mm.
    where
        The group, for messages.
    """

    variable: xr.DataArray
    affine: Array
    where: str

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(frames, z, y, x)."""
        frames, depth, height, width = self.variable.shape
        return frames, depth, height, width

    def fill(self, target: NDArray[np.float32], /) -> None:
        """Read the image frame by frame."""
        with _faults(self.where):
            for frame in range(len(target)):
                target[frame] = self.variable[frame].to_numpy()


def _groups(found: Mapping[str, str]) -> dict[str, list[str]]:
    """Paths of the files of each group by the path of the group; a group within another belongs to that."""
    groups: dict[str, list[str]] = {}
    for path in found:
        folders = path.split("/")[:-1]
        depth = next((i for i, folder in enumerate(folders, start=1) if folder.lower().endswith(_ENDING)), 0)
        if depth:
            groups.setdefault("/".join(folders[:depth]), []).append(path)
    return groups


def _require_files(uris: Iterable[str]) -> None:
    """Refuse a group of which a file is gone, which Zarr would fill with zeros, or whose metadata are no JSON."""
    for uri in uris:
        if not exists(uri):
            raise MissingInputError("the file of an array is not there.", where=uri, hint=FETCH_AGAIN)
        if uri.rpartition("/")[2] in _METADATA:
            read_json(uri)


def _address(files: ScanFiles) -> str:
    return f"{files.root}/{files.path}"


@contextmanager
def _faults(where: str) -> Iterator[None]:
    """Faults of Zarr and xarray in words."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="zarr")
            yield
    except DlifError:
        raise
    except Exception as fault:  # Zarr, its codecs and xarray have faults of many kinds
        if isinstance(fault, OSError) and not isinstance(fault, FileNotFoundError):
            raise
        raise ImageError(
            f"the arrays can't be read: {type(fault).__name__}: {without_quotations(str(fault))}.",
            where=where,
            hint=FETCH_AGAIN,
        ) from fault


@contextmanager
def _opened(uri: str) -> Iterator[xr.Dataset]:
    """The group as a dataset whose arrays are read when they are sliced."""
    import xarray as xr
    from zarr.storage import FsspecStore, LocalStore

    from dlif_core.storage import OPTIONS

    path = local_path(uri)
    store: Any
    with _faults(uri):
        if path is None:
            store = FsspecStore.from_url(uri, storage_options=OPTIONS, read_only=True)
        else:
            store = LocalStore(path, read_only=True)
        dataset = xr.open_dataset(store, engine="zarr", chunks=None, consolidated=False, decode_times=False)
    with dataset:
        yield dataset


def _image(group: xr.Dataset, where: str) -> _GroupImage:
    """The one dynamic image of a group."""
    found = [one for one in group.data_vars.values() if one.ndim == 4]
    if len(found) != 1:
        raise ImageError(
            f"the group holds {len(found)} variables with four dimensions.",
            where=where,
            hint="Write one dynamic image with dimensions frame, z, y and x into the group.",
        )
    names = {str(dim).lower(): str(dim) for dim in found[0].dims}
    order = [names.get(next((one for one in _FRAMES if one in names), "")), *(names.get(axis) for axis in _SPACE)]
    if None in order:
        raise ImageError(
            f"the image has the dimensions {', '.join(map(str, found[0].dims))}.",
            where=where,
            hint=f"Call them {', '.join((_FRAMES[0], *_SPACE))}.",
        )
    variable = found[0].transpose(*order)
    return _GroupImage(variable, _affine(group, variable, where), where)


def _affine(group: xr.Dataset, variable: xr.DataArray, where: str) -> Array:
    """Affine from an attribute of the image or of the group, else from coordinates in mm."""
    stated = variable.attrs.get("affine", group.attrs.get("affine"))
    if stated is not None:
        return _stated_affine(stated, where)
    affine = np.eye(4)
    for axis, dim in enumerate(reversed(variable.dims[1:])):
        if dim not in variable.coords:
            raise ImageError(
                f"nothing says where the voxels lie: there is no coordinate {dim!r}.",
                where=where,
                hint="Add coordinates x, y and z in mm (right, front, head), or an attribute affine (4 × 4, as NIfTI).",
            )
        affine[axis, 3], affine[axis, axis] = _even(variable.coords[dim], str(dim), where)
    return affine


def _stated_affine(stated: object, where: str) -> Array:
    try:
        affine = np.array(stated, dtype=float)
    except (TypeError, ValueError):
        affine = np.empty(0)
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ImageError(
            "the attribute affine is no matrix of 4 × 4 numbers that places voxels.",
            where=where,
            hint="Write it as NIfTI has it: voxel index (x, y, z) to mm.",
        )
    return affine


def _even(coordinate: xr.DataArray, dim: str, where: str) -> tuple[float, float]:
    """First value and step of a coordinate [mm]."""
    from dlif_core.units import factor

    unit = str(coordinate.attrs.get("units", "mm"))
    values = np.asarray(coordinate.to_numpy(), dtype=float) * factor(unit, "length", where=f"{where}, coordinate {dim}")
    steps = np.diff(values)
    if len(steps) == 0 or not np.isfinite(values).all() or np.ptp(steps) > _TOLERANCE * abs(steps[0]) or steps[0] == 0:
        raise ImageError(
            f"the coordinate {dim} has no even steps.", where=where, hint="Resample the image to a regular grid."
        )
    return float(values[0]), float(steps.mean())


def _fields(group: xr.Dataset, variable: xr.DataArray, where: str) -> dict[str, Any]:
    """Fields of a sidecar from the attributes, and the frames from their variables."""
    from dlif_core.ingest.bids.sidecar import SIDECAR_FIELDS

    stated = {**group.attrs, **variable.attrs}
    fields = {name: _plain(stated[name]) for name in SIDECAR_FIELDS if name in stated}
    if "units" in variable.attrs:
        fields.setdefault("Units", str(variable.attrs["units"]))
    for name, field in (("frame_start", "FrameTimesStart"), ("frame_duration", "FrameDuration")):
        if name in group.variables:
            fields[field] = _seconds(group[name], name, where)
    return fields


def _seconds(variable: xr.DataArray, name: str, where: str) -> list[float]:
    from dlif_core.units import factor

    unit = str(variable.attrs.get("units", "s"))
    try:
        values = np.asarray(variable.to_numpy(), dtype=float).reshape(-1)
    except (TypeError, ValueError):
        raise InputError(f"{name} does not hold numbers.", where=where, hint="Write frame times in seconds.") from None
    return [float(value) for value in values * factor(unit, "time", where=f"{where}, variable {name}")]


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
