"""The format ECAT 7."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from dlif_core.ingest.described import DescribedScan, SeriesOptions
from dlif_core.ingest.reader import ImageGeometry, ScanFiles, ScanSource
from dlif_core.ingest.series_files import files_below, named_scans, walked

_ENDINGS = (".v", ".v.gz")
#: Files of other formats end so, too: they are of this one if they begin with its magic number.
_SHARED_ENDINGS = (".img", ".img.gz")
#: Header of an Interfile image, whose voxels lie in a file `.v` of the same name.
_INTERFILE = ".hv"
_HEAD_BYTES = 1 << 16


class Ecat:
    """Dynamic images in ECAT 7 files ``.v``, ``.v.gz`` and ``.img``."""

    name: ClassVar = "ecat"
    title: ClassVar = "ECAT"
    version: ClassVar = 1
    looks_for: ClassVar = "*.v, *.v.gz, *.img"
    options: ClassVar = SeriesOptions

    def recognises(self, uri: str) -> bool:
        """Tell whether there are files ``.v`` without an Interfile header, or ``.img`` with the magic number."""
        return bool(_own(walked(uri, _may_be)))

    def find(self, source: ScanSource) -> list[ScanFiles]:
        """List the scans below a URI, each a file."""
        found = _own(files_below(source.uri, _may_be))
        return named_scans(source, self.name, {path: {"image": (uri,)} for path, uri in found.items()})

    @contextmanager
    def describe(self, files: ScanFiles) -> Iterator[DescribedScan]:
        """Describe a scan; its image can be read until the context ends."""
        from dlif_core.ingest.ecat.fields import fields_of, scales_of, signs_of
        from dlif_core.ingest.ecat.headers import read_headers
        from dlif_core.ingest.local_files import local_file
        from dlif_core.ingest.stored_volumes import StoredVolumes, affine_of, require_shape, require_voxel_size

        (uri,) = files.role("image")
        with local_file(uri) as path:
            headers = read_headers(lambda place, length: _piece(path, place, length), uri)
            require_shape(headers.shape, uri)
            require_voxel_size(headers.voxel_size, uri)
            fields, findings = fields_of(headers, uri)
            scales = scales_of(headers, uri, findings)
            signs = signs_of(headers.main, uri, findings)
            affine = affine_of(headers.shape, headers.voxel_size, signs)
            kind = headers.stored_type
            image = StoredVolumes(path, uri, kind, headers.shape, affine, headers.offsets, scales)
            yield DescribedScan(fields, uri, image, findings=tuple(findings))

    def geometry(self, files: ScanFiles) -> ImageGeometry:
        """Read the grid of a scan's image from its headers; a compressed file is unpacked as far as they reach."""
        from dlif_core.errors import ImageError
        from dlif_core.ingest.ecat.headers import read_headers
        from dlif_core.ingest.local_files import first_bytes, local_file
        from dlif_core.ingest.stored_volumes import geometry_of

        (uri,) = files.role("image")
        head = first_bytes(uri, _HEAD_BYTES)
        try:
            headers = read_headers(lambda place, length: head[place : place + length], uri)
        except ImageError:  # later frames lie beyond
            with local_file(uri) as path:
                headers = read_headers(lambda place, length: _piece(path, place, length), uri)
        return geometry_of(headers.shape, headers.voxel_size)


def _may_be(name: str) -> bool:
    return name.endswith((*_ENDINGS, *_SHARED_ENDINGS, _INTERFILE))


def _own(found: dict[str, str]) -> dict[str, str]:
    from dlif_core.ingest.ecat.headers import MAGIC
    from dlif_core.ingest.local_files import begins_with

    names = {path.lower() for path in found}
    return {
        path: uri
        for path, uri in found.items()
        if (path.lower().endswith(_ENDINGS) and f"{path.lower().removesuffix('.v')}{_INTERFILE}" not in names)
        or (path.lower().endswith(_SHARED_ENDINGS) and begins_with(uri, MAGIC))
    }


def _piece(path: Path, place: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(place, 0))
        return file.read(length)
