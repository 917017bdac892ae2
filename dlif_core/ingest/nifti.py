"""NIfTI images read by slicing, from any fsspec URL."""

from __future__ import annotations

import gzip
import math
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import ImageError, MissingInputError
from dlif_core.ingest.reader import ImageGeometry
from dlif_core.ingest.uris import local_path

Array = NDArray[np.float64]

#: Header fields that may hold free text.
_FREE_TEXT = ("descrip", "aux_file", "db_name", "intent_name", "data_type")

_GZIP_MAGIC = b"\x1f\x8b"
_COPY_BYTES = 1 << 20
_MILLIMETRES = {"mm": 1.0, "meter": 1e3, "micron": 1e-3}
_EXACT_INTEGERS = 2**24  # whole numbers that float32 holds exactly

_FETCH_AGAIN = (
    "Fetch or convert it again; datasets cloned with git hold pointers until `git annex get` or `git lfs pull`."
)


@dataclass(frozen=True, eq=False)
class NiftiImage:
    """A NIfTI image as an array of shape (frame, z, y, x), float32, read and scaled when it is sliced.

    Attributes
    ----------
    shape
        (frames, z, y, x).
    affine
        Shape (4, 4), voxel index (x, y, z) to mm.
    header
        Raw header bytes with the free-text fields blanked.
    stored_type
        Data type of the numbers in the file.
    length_unit
        Unit of length in the header; ``unknown`` is taken as mm.
    scale
        Factor applied after the header's own slope and intercept.
    """

    shape: tuple[int, ...]
    affine: Array
    header: bytes
    stored_type: str
    length_unit: str
    scale: float
    _stored: Any

    def __getitem__(self, key: Any, /) -> NDArray[np.float32]:
        """Read a block, given by integers, slices and ``...``; nothing else is read."""
        given = key if isinstance(key, tuple) else (key,)
        if Ellipsis not in given:
            given = (*given, Ellipsis)
        place = given.index(Ellipsis)
        whole = (slice(None),) * (len(self.shape) - len(given) + 1)
        full = given[:place] + whole + given[place + 1 :]
        block = np.asarray(self._stored[full[::-1]]).T
        with np.errstate(over="ignore"):  # an overflow is infinite and found as such
            return np.asarray(block * self.scale, dtype=np.float32)


def image_geometry(uri: str) -> ImageGeometry:
    """Read an image's grid from its header, and nothing beyond it.

    Raises
    ------
    ImageError
        If it has no NIfTI header.
    """
    from nibabel.nifti1 import Nifti1Header
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    try:
        with fsspec.open(uri, compression="gzip" if _is_zipped(uri) else None) as file:
            header = Nifti1Header.from_fileobj(file)
    except (WrapStructError, HeaderDataError, OSError, EOFError, zlib.error) as fault:
        raise ImageError(f"its header can't be read: {fault}.", where=uri, hint=_FETCH_AGAIN) from fault
    shape = _four_dimensions(header.get_data_shape(), uri)
    return ImageGeometry(shape[::-1], tuple(float(size) for size in reversed(header.get_zooms()[:3])))


@contextmanager
def open_image(uri: str, scale: float = 1.0) -> Iterator[NiftiImage]:
    """Open a 3D or 4D NIfTI image.

    A local uncompressed file is read in place. Any other is streamed once into an uncompressed temporary
    file (in the folder of TMPDIR), so memory stays bounded whatever the image's size.

    Parameters
    ----------
    uri
        ``.nii`` or ``.nii.gz`` at any fsspec URL.
    scale
        Factor from the image's numbers to Bq/mL.

    Raises
    ------
    MissingInputError
        If the file is not there.
    ImageError
        If it is empty, truncated, not NIfTI, or not a real-valued image of three or four dimensions.
    """
    with _uncompressed(uri) as path:
        yield _view(path, uri, scale)


@contextmanager
def _uncompressed(uri: str) -> Iterator[Path]:
    zipped = _is_zipped(uri)
    path = local_path(uri)
    if path is not None and not zipped:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="dlif-") as folder:
        copy = Path(folder) / "image.nii"
        _copy(uri, copy, zipped)
        yield copy


def _is_zipped(uri: str) -> bool:
    try:
        with fsspec.open(uri, "rb") as stream:
            start = stream.read(32)
    except FileNotFoundError as error:
        raise MissingInputError("the image is not there.", where=uri, hint=_FETCH_AGAIN) from error
    if not start:
        raise ImageError("the file is empty.", where=uri, hint=_FETCH_AGAIN)
    zipped = bool(start.startswith(_GZIP_MAGIC))
    if uri.endswith(".gz") and not zipped:
        raise ImageError(f"this is not a gzip file; it begins with {start!r}.", where=uri, hint=_FETCH_AGAIN)
    return zipped


def _copy(uri: str, target: Path, zipped: bool) -> None:
    try:
        with fsspec.open(uri, "rb") as stream, target.open("wb") as sink:
            shutil.copyfileobj(gzip.GzipFile(fileobj=stream) if zipped else stream, sink, _COPY_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ImageError(
            f"the compressed image is truncated or damaged ({error}).", where=uri, hint=_FETCH_AGAIN
        ) from error


def _view(path: Path, uri: str, scale: float) -> NiftiImage:
    stored, header, affine = _load(path, uri)
    shape = _four_dimensions(stored.shape, uri)
    _require_real_numbers(stored.dtype, uri)
    _require_complete(path, stored, uri)
    length_unit = header.get_xyzt_units()[0]
    affine = np.asarray(affine, float)
    affine[:3] *= _MILLIMETRES.get(length_unit, 1.0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) == 0.0:
        raise ImageError(
            "the affine is not invertible.", where=uri, hint="Correct the voxel sizes and orientation in the header."
        )
    return NiftiImage(
        shape=shape[::-1],
        affine=affine,
        header=_without_free_text(header),
        stored_type=str(stored.dtype),
        length_unit=length_unit,
        scale=scale,
        _stored=stored.reshape(shape),
    )


def _load(path: Path, uri: str) -> tuple[Any, Any, Any]:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image = nibabel.load(path)
        assert isinstance(image, nibabel.Nifti1Pair)
        return image.dataobj, image.header, image.affine
    except (ImageFileError, HeaderDataError, ValueError, AssertionError) as error:
        raise ImageError(
            f"this is not a readable NIfTI image of {path.stat().st_size} bytes.", where=uri, hint=_FETCH_AGAIN
        ) from error


def _four_dimensions(shape: tuple[int, ...], uri: str) -> tuple[int, ...]:
    """Return the shape as (x, y, z, frames); an image of three dimensions is one frame."""
    four = (*shape, 1)[:4] if len(shape) == 3 else shape[:4]
    if len(four) != 4 or math.prod(shape) != math.prod(four) or min(four) < 1:
        raise ImageError(
            f"the image has shape {shape}; a dynamic image has four dimensions (x, y, z, frame).",
            where=uri,
            hint="Merge the frames into one 4D image.",
        )
    return four


def _require_real_numbers(kind: np.dtype[Any], uri: str) -> None:
    if kind.kind not in "iuf":
        raise ImageError(
            f"the image holds values of type {kind}.", where=uri, hint="Convert it to integers with scale, or to float."
        )


def _require_complete(path: Path, stored: Any, uri: str) -> None:
    expected = stored.offset + math.prod(stored.shape) * stored.dtype.itemsize
    found = path.stat().st_size
    if found < expected:
        raise ImageError(
            f"the image is truncated: {found} bytes (uncompressed) of the {expected} that its header announces.",
            where=uri,
            hint=_FETCH_AGAIN,
        )


def _without_free_text(header: Any) -> bytes:
    blank = header.copy()
    for name in _FREE_TEXT:
        if name in blank:
            blank[name] = b""
    return bytes(blank.binaryblock)


def read_labels(uri: str, image: NiftiImage) -> NDArray[np.int32]:
    """Read region labels on the grid of an image.

    Returns
    -------
    Shape (z, y, x).

    Raises
    ------
    ImageError
        If the label image is not on the image's grid or holds values that are not whole numbers.
    """
    with open_image(uri) as labels:
        if labels.shape != (1, *image.shape[1:]) or not np.allclose(labels.affine, image.affine, rtol=0, atol=1e-2):
            raise ImageError(
                f"the label image is on another grid (z, y, x = {labels.shape[1:]}) than the image {image.shape[1:]}, "
                "or placed differently.",
                where=uri,
                hint="Resample the label image to the PET image, with nearest neighbour.",
            )
        values = labels[0]
    if not ((values == np.round(values)) & (np.abs(values) < _EXACT_INTEGERS)).all():
        raise ImageError(
            "the label image holds values that are not whole numbers.",
            where=uri,
            hint="Resample labels with nearest neighbour, never by interpolation.",
        )
    return values.astype(np.int32)
