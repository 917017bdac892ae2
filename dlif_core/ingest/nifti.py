"""NIfTI images read by slicing, from any fsspec URL."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import ConfigurationError, ImageError
from dlif_core.foreign_faults import without_quotations
from dlif_core.ingest.nifti_header import HEADER_BYTES, NiftiHeader, described, parse_header
from dlif_core.ingest.reader import ImageGeometry
from dlif_core.ingest.uris import FETCH_AGAIN, file_system_of, local_path, opened, require_fetched

Array = NDArray[np.float64]

_GZIP_MAGIC = b"\x1f\x8b"
_COPY_BYTES = 1 << 20
#: Bytes that one byte of a gzip file can hold at most, by its format.
_GZIP_RATIO = 1032
_FAULTS_OF_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)

_CONVERT_AGAIN = f"{FETCH_AGAIN} Else convert the image again."


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
        Bytes of the header, the fields empty that may hold text.
    stored_type
        Data type of the numbers in the file.
    warnings
        What the header leaves open or states twice, with what was taken.
    scale
        Factor applied after the header's own slope and intercept.
    """

    shape: tuple[int, ...]
    affine: Array
    header: bytes
    stored_type: str
    warnings: tuple[str, ...]
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

    def unrounded(self) -> NDArray[Any]:
        """Read the whole image in the type in which the file holds it, in float64 where its header scales it."""
        return np.asarray(self._stored).T


def image_geometry(uri: str) -> ImageGeometry:
    """Read an image's grid from its header, and nothing beyond it.

    Raises
    ------
    MissingInputError
        If the file is not there.
    ImageError
        If it has no sound NIfTI header.
    """
    zipped = _is_zipped(uri)
    try:
        with opened(uri) as file:
            header = parse_header(_start(gzip.GzipFile(fileobj=file) if zipped else file), uri)
    except _FAULTS_OF_GZIP as fault:
        raise ImageError(
            f"its header can't be read: {without_quotations(str(fault))}.", where=uri, hint=FETCH_AGAIN
        ) from fault
    return ImageGeometry(header.shape[::-1], header.voxel_size[::-1])


@contextmanager
def open_image(uri: str, scale: float = 1.0) -> Iterator[NiftiImage]:
    """Open a 3D or 4D NIfTI image.

    A local uncompressed file is read in place. Any other is streamed once into an uncompressed temporary
    file (in the folder of TMPDIR), so memory stays bounded whatever the image's size. No more is unpacked than the
    header announces.

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
        If it is empty, truncated or longer than its header announces, not NIfTI, not a real-valued image of three or
        four dimensions, or a field of its header is impossible.
    ConfigurationError
        If the folder of TMPDIR has no room for the uncompressed image.
    """
    with _uncompressed(uri) as (path, header, surplus):
        yield _view(path, header, surplus, scale)


@contextmanager
def _uncompressed(uri: str) -> Iterator[tuple[Path, NiftiHeader, int]]:
    """Give a local file with its header and the number of bytes that follow the voxels."""
    zipped = _is_zipped(uri)
    path = local_path(uri)
    if path is not None and not zipped:
        yield (path, *_in_place(path, uri))
        return
    with tempfile.TemporaryDirectory(prefix="dlif-") as folder:
        copy = Path(folder) / "image.nii"
        yield (copy, *_unpack(uri, copy, zipped))


def _is_zipped(uri: str) -> bool:
    with opened(uri) as stream:
        start = bytes(stream.read(64))
    if not start:
        raise ImageError("the file is empty.", where=uri, hint=FETCH_AGAIN)
    require_fetched(start, uri)
    zipped = start.startswith(_GZIP_MAGIC)
    if uri.endswith(".gz") and not zipped:
        raise ImageError(f"this is not a gzip file; {described(start)}.", where=uri, hint=FETCH_AGAIN)
    return zipped


def _start(stream: Any) -> bytes:
    """Read the header's bytes; a stream may give fewer at a time."""
    start = b""
    while len(start) < HEADER_BYTES and (more := stream.read(HEADER_BYTES - len(start))):
        start += more
    return start


def _in_place(path: Path, uri: str) -> tuple[NiftiHeader, int]:
    with opened(uri) as stream:
        header = parse_header(_start(stream), uri)
    size = path.stat().st_size
    _require_complete(size, header, uri)
    _require_no_more(size - header.end, header, uri)
    return header, size - header.end


def _unpack(uri: str, target: Path, zipped: bool) -> tuple[NiftiHeader, int]:
    try:
        with opened(uri) as packed, target.open("wb") as sink:
            stream = gzip.GzipFile(fileobj=packed) if zipped else packed
            start = _start(stream)
            header = parse_header(start, uri)
            _require_room(header, uri, target.parent, zipped)
            sink.write(start[: header.end])
            _require_complete(len(start) + _copied(stream, sink, header.end - len(start)), header, uri)
            return header, _surplus(stream, len(start), header, uri)
    except _FAULTS_OF_GZIP as error:
        raise ImageError(
            f"the compressed image is truncated or damaged ({without_quotations(str(error))}).",
            where=uri,
            hint=_CONVERT_AGAIN,
        ) from error


def _copied(stream: Any, sink: Any, length: int) -> int:
    """Copy up to `length` bytes and return how many there were."""
    left = length
    while left > 0 and (block := stream.read(min(left, _COPY_BYTES))):
        sink.write(block)
        left -= len(block)
    return length - left


def _surplus(stream: Any, read: int, header: NiftiHeader, uri: str) -> int:
    """Read on to the end of the stream, where gzip checks its sum; return the number of bytes after the voxels."""
    found = max(read - header.end, 0)
    try:
        while block := stream.read(_COPY_BYTES):
            found += len(block)
            _require_no_more(found, header, uri)
    except gzip.BadGzipFile as error:
        if not str(error).startswith("Not a gzipped file"):
            raise
        found += 1  # other bytes follow a stream whose sum was right
    _require_no_more(found, header, uri)
    return found


def _require_complete(found: int, header: NiftiHeader, uri: str) -> None:
    if found < header.end:
        raise ImageError(
            f"the image is truncated: {found} bytes (uncompressed) of the {header.end} that its header announces.",
            where=uri,
            hint=_CONVERT_AGAIN,
        )


def _require_no_more(surplus: int, header: NiftiHeader, uri: str) -> None:
    """Refuse bytes after the voxels that would fill a frame; fewer are padding."""
    if surplus >= header.frame_bytes:
        raise ImageError(
            f"the file goes on after the {header.end} bytes that its header announces for {header.shape[3]} frames of "
            f"{header.stored_type}.",
            where=uri,
            hint="The header is not that of these voxels; convert the image again.",
        )


def _require_room(header: NiftiHeader, uri: str, folder: Path, zipped: bool) -> None:
    """Refuse to unpack more than the file can hold, or than there is room for."""
    file_system, path = file_system_of(uri)
    packed = file_system.size(path)
    if packed is not None and header.end > packed * (_GZIP_RATIO if zipped else 1) + HEADER_BYTES:
        raise ImageError(
            f"the image is truncated, or its header is wrong: it announces {header.end} bytes, more than a file of "
            f"{packed} bytes can hold.",
            where=uri,
            hint=_CONVERT_AGAIN,
        )
    free = shutil.disk_usage(folder).free
    if header.end > free:
        raise ConfigurationError(
            f"{uri} needs {header.end / 1e9:.3g} GB uncompressed; the folder has {free / 1e9:.3g} GB free.",
            where=folder.parent,
            hint="Free some space, or set TMPDIR to a folder with more.",
        )


def _view(path: Path, header: NiftiHeader, surplus: int, scale: float) -> NiftiImage:
    from nibabel.arrayproxy import ArrayProxy

    more = ("Bytes follow the voxels in the image file; they are not read.",) if surplus else ()
    layout = (header.shape, header.stored_type, header.offset, header.slope, header.intercept)
    return NiftiImage(
        shape=header.shape[::-1],
        affine=header.affine,
        header=header.raw,
        stored_type=str(header.stored_type),
        warnings=header.warnings + more,
        scale=scale,
        _stored=ArrayProxy(path, layout),
    )


def read_stored_labels(uri: str) -> tuple[NDArray[Any], Array]:
    """Read the labels of a label image as whole numbers.

    Returns
    -------
    Labels, shape (z, y, x), and the affine, shape (4, 4), voxel index (x, y, z) to mm.

    Raises
    ------
    ImageError
        If the label image has several frames, or holds values that are not whole numbers or beyond 64 bits.
    """
    with open_image(uri) as labels:
        if labels.shape[0] != 1:
            raise ImageError(
                f"the label image has {labels.shape[0]} frames.",
                where=uri,
                hint="Give an image of one label per voxel.",
            )
        values, affine = labels.unrounded()[0], labels.affine
    if values.dtype.kind == "f":
        _require_whole(values, uri)
    _require_storable(values, uri)
    return values if values.dtype.kind != "f" else values.astype(np.int64), affine


def _require_whole(values: NDArray[Any], uri: str) -> None:
    if not np.isfinite(values).all():
        raise ImageError(
            "the label image holds values that are not finite (NaN or infinite).",
            where=uri,
            hint="Write 0 outside the regions, and store the labels as integers.",
        )
    if (values != np.round(values)).any():
        raise ImageError(
            "the label image holds values that are not whole numbers.",
            where=uri,
            hint="Resample labels with nearest neighbour, never by interpolation.",
        )
    exact = 2.0 ** (np.finfo(values.dtype).nmant + 1)
    if np.abs(values).max() > exact:
        raise ImageError(
            f"the label image holds labels up to {np.abs(values).max():.0f} as {values.dtype.name}, which rounds whole "
            f"numbers beyond {exact:.0f}.",
            where=uri,
            hint="Store the labels as integers, as the atlas does.",
        )


def _require_storable(values: NDArray[Any], uri: str) -> None:
    limit = np.iinfo(np.int64).max
    if int(values.max()) > limit:
        raise ImageError(
            f"the label image holds {int(values.max())}; labels have 64 bits, up to {limit}.",
            where=uri,
            hint="Number the labels anew, in the label image and in its table of names.",
        )
