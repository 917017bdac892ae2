"""Images of a series: every file is opened once, and its slices wait on disk until all are known and can be ordered."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from dlif_core.errors import ImageError
from dlif_core.ingest.dicom.frames import FramesOfPlanes
from dlif_core.ingest.dicom.headers import DicomHeader, full_header, number, without_pydicom_faults
from dlif_core.ingest.dicom.planes import Plane, plane
from dlif_core.ingest.dicom.pmod import pmod_planes
from dlif_core.ingest.uris import opened

_STORED = np.dtype("<f4")


@dataclass(frozen=True, eq=False)
class DicomSeries:
    """All files of a series, read.

    Attributes
    ----------
    headers
        Header of each file.
    planes
        Planes of all files.
    spool
        Their scaled values, in the same order, as little-endian float32; None where only headers were read.
    """

    headers: tuple[DicomHeader, ...]
    planes: tuple[Plane, ...]
    spool: IO[bytes] | None = None


@dataclass(frozen=True, eq=False)
class DicomImage:
    """The image of a series.

    Attributes
    ----------
    series
        The series.
    frames
        The planes in order.
    scale
        Factor from the unit of its planes to the one that is stated.
    """

    series: DicomSeries
    frames: FramesOfPlanes
    scale: float

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(frames, z, y, x)."""
        return self.frames.shape

    @property
    def affine(self) -> NDArray[np.float64]:
        """Shape (4, 4), voxel index (x, y, z) to mm in RAS axes."""
        return self.frames.affine

    def fill(self, target: NDArray[np.float32]) -> None:
        """Write all voxels into an array of the image's shape, slice by slice."""
        slots = {(one.file, one.index): slot for slot, one in enumerate(self.series.planes)}
        for frame, planes in enumerate(self.frames.planes):
            for z, one in enumerate(planes):
                with np.errstate(over="ignore", invalid="ignore"):
                    target[frame, z] = (self.scale * self._stored(slots[one.file, one.index])).astype(np.float32)

    def _stored(self, slot: int) -> NDArray[np.float64]:
        spool, (rows, columns) = self.series.spool, self.shape[2:]
        if spool is None:
            raise ValueError("only the headers were read")
        size = rows * columns * _STORED.itemsize
        spool.seek(slot * size)
        return np.frombuffer(spool.read(size), _STORED).reshape(rows, columns).astype(np.float64)


def planes_of(header: DicomHeader, file: int) -> list[Plane]:
    """Planes of a file, in the order of its images.

    Raises
    ------
    ImageError
        If the file doesn't say where they lie, or how its numbers are scaled.
    """
    if "PmodStarts" in header.facts:
        return pmod_planes(header, file)
    if len(header.frames) > 1 and header.frames[0] is header.facts:
        raise ImageError(
            f"the file holds {len(header.frames)} images and doesn't say where and when each was measured.",
            where=header.uri,
            hint="Export the series as Enhanced PET, or as a file for each slice.",
        )
    return [plane(facts, header.uri, file, index) for index, facts in enumerate(header.frames)]


def headers_only(uris: Sequence[str]) -> DicomSeries:
    """Read the headers of all files.

    Raises
    ------
    InputError
        If a file is missing, damaged or no image of PET.
    """
    headers, planes = [], []
    for file, uri in enumerate(uris):
        with opened(uri) as stream:
            header = full_header(stream, uri)
        headers.append(header)
        planes += planes_of(header, file)
    return DicomSeries(tuple(headers), tuple(planes))


@contextmanager
def whole_series(uris: Sequence[str], require: Callable[[DicomHeader], None]) -> Iterator[DicomSeries]:
    """Read all files, each once; no more than a slice is in memory.

    Parameters
    ----------
    uris
        The files.
    require
        Called with each header, before the images of its file are read, to refuse what no dynamic series is.

    Yields
    ------
    The series, whose values lie in a temporary file until the context ends.

    Raises
    ------
    InputError
        If a file is missing, truncated, damaged or compressed in a way that can't be decoded.
    """
    headers: list[DicomHeader] = []
    planes: list[Plane] = []
    with tempfile.TemporaryFile(prefix="dlif-") as spool:
        for file, uri in enumerate(uris):
            with opened(uri) as stream:
                header = full_header(stream, uri)
                require(header)
                found = planes_of(header, file)
                _require_size(planes[:1] or found[:1], found, uri)
                for values in _scaled(stream, header, found):
                    spool.write(values.tobytes())
            headers.append(header)
            planes += found
        yield DicomSeries(tuple(headers), tuple(planes), spool)


def _require_size(first: Sequence[Plane], planes: Sequence[Plane], uri: str) -> None:
    if any(one.shape != first[0].shape for one in planes):
        raise ImageError(
            f"the images have {planes[0].shape[0]} × {planes[0].shape[1]} pixels, those before "
            f"{first[0].shape[0]} × {first[0].shape[1]}.",
            where=uri,
            hint="Put images of one reconstruction into a series.",
        )


def _scaled(stream: Any, header: DicomHeader, planes: Sequence[Plane]) -> Iterator[NDArray[np.float32]]:
    """Values of each image of a file, times slope, plus intercept."""
    if (number(header.facts, "SamplesPerPixel") or 1) != 1:
        raise ImageError("the image is one of colours, not of activity.", where=header.uri, hint="Export PET images.")
    count = 0
    for one, stored in zip(planes, _stored_images(stream, header), strict=False):
        if stored.shape != one.shape:
            raise ImageError(
                "its pixels don't have the size that it states.", where=header.uri, hint="Export it again."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            values = (stored.astype(np.float64) * one.slope + one.intercept).astype(_STORED)
        yield values
        count += 1
    if count < len(planes):
        raise ImageError(
            f"it holds {count} of the {len(planes)} images that it states.", where=header.uri, hint="Export it again."
        )


def _stored_images(stream: Any, header: DicomHeader) -> Iterator[NDArray[Any]]:
    """Stored numbers of each image of a file, one after the other."""
    stream.seek(0)
    source = stream
    if header.facts["TransferSyntaxUID"] == DeflatedExplicitVRLittleEndian:
        with without_pydicom_faults(header.uri, "its images can't be read"):
            source = pydicom.dcmread(stream)
    with closing(cast(Generator[NDArray[Any], None, None], iter_pixels(source, raw=True))) as images:
        while True:
            with without_pydicom_faults(header.uri, "its images can't be read"):
                stored = _next(images, header)
            if stored is None:
                return
            yield stored


def _next(images: Iterator[NDArray[Any]], header: DicomHeader) -> NDArray[Any] | None:
    try:
        return next(images, None)
    except (NotImplementedError, RuntimeError) as error:
        raise _undecoded(header, error) from None


def _undecoded(header: DicomHeader, error: Exception) -> ImageError:
    syntax = UID(str(header.facts.get("TransferSyntaxUID", "")))
    named = f" ({syntax.name})" if syntax.is_transfer_syntax else ""
    if "missing dependencies" in str(error) or isinstance(error, NotImplementedError):
        return ImageError(
            f"nothing is installed that decodes its compressed images{named}.",
            where=header.uri,
            hint="Install pylibjpeg with pylibjpeg-libjpeg and pylibjpeg-openjpeg, or export the series uncompressed.",
        )
    return ImageError("its compressed images are damaged.", where=header.uri, hint="Export the series again.")
