"""The format Interfile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from dlif_core.errors import InputError, MissingInputError
from dlif_core.ingest.described import DescribedScan, SeriesOptions
from dlif_core.ingest.reader import ImageGeometry, ScanFiles, ScanSource
from dlif_core.ingest.series_files import files_below, named_scans, walked

_ENDINGS = (".hv", ".h33")
#: Headers of other formats end so, too.
_SHARED_ENDING = ".hdr"


class Interfile:
    """Dynamic images with an Interfile header ``.hv``, ``.h33`` or ``.hdr`` and a file of voxels."""

    name: ClassVar = "interfile"
    title: ClassVar = "Interfile"
    version: ClassVar = 1
    looks_for: ClassVar = "*.hv, *.h33, *.hdr that begin with !INTERFILE"
    options: ClassVar = SeriesOptions

    def recognises(self, uri: str) -> bool:
        """Tell whether there are headers of Interfile."""
        return any(map(_is_header, walked(uri, _may_be).items()))

    def find(self, source: ScanSource) -> list[ScanFiles]:
        """List the scans below a URI, each a header with the file of voxels that it names."""
        headers = dict(filter(_is_header, files_below(source.uri, _may_be).items()))
        scans = {path: {"header": (uri,), **_image_role(uri)} for path, uri in headers.items()}
        return named_scans(source, self.name, scans)

    @contextmanager
    def describe(self, files: ScanFiles) -> Iterator[DescribedScan]:
        """Describe a scan; its image can be read until the context ends."""
        from dlif_core.checks import Finding
        from dlif_core.ingest.interfile.fields import (
            fields_of,
            offsets_of,
            scales_of,
            shape_of,
            signs_of,
            type_of,
            voxel_size_of,
        )
        from dlif_core.ingest.interfile.header import read_header
        from dlif_core.ingest.local_files import local_file
        from dlif_core.ingest.stored_volumes import StoredVolumes, affine_of

        self.geometry(files)
        header = read_header(files.role("header")[0])
        findings: list[Finding] = []
        fields, kind, shape = fields_of(header, findings), type_of(header, findings), shape_of(header)
        affine = affine_of(shape, voxel_size_of(header), signs_of(header, findings))
        offsets = offsets_of(header, shape[0], shape[1] * shape[2] * shape[3] * kind.itemsize)
        (uri,) = files.role("image")
        with local_file(uri) as path:
            image = StoredVolumes(path, uri, kind, shape, affine, offsets, scales_of(header, shape[0]))
            yield DescribedScan(fields, header.where, image, findings=tuple(findings))

    def geometry(self, files: ScanFiles) -> ImageGeometry:
        """Read the grid of a scan's image from its header."""
        from dlif_core.ingest.interfile.fields import shape_of, voxel_size_of
        from dlif_core.ingest.interfile.header import read_header
        from dlif_core.ingest.stored_volumes import geometry_of, require_shape, require_voxel_size

        header = read_header(files.role("header")[0])
        if not files.role("image"):
            raise MissingInputError(
                "the file of voxels that the header names is not there, or not beside or below it.",
                where=f"{header.where}, key `name of data file`",
                hint="Put it beside its header, and correct the name.",
            )
        require_shape(shape_of(header), header.where)
        require_voxel_size(voxel_size_of(header), header.where)
        return geometry_of(shape_of(header), voxel_size_of(header))


def _may_be(name: str) -> bool:
    return name.endswith((*_ENDINGS, _SHARED_ENDING))


def _is_header(found: tuple[str, str]) -> bool:
    from dlif_core.ingest.interfile.header import MAGIC
    from dlif_core.ingest.local_files import begins_with

    path, uri = found
    return path.lower().endswith(_ENDINGS) or begins_with(uri, *MAGIC)


def _image_role(uri: str) -> dict[str, tuple[str, ...]]:
    """The file of voxels that a header names, beside or below it; none where it can't be told."""
    from dlif_core.ingest.interfile.header import read_header
    from dlif_core.ingest.uris import exists

    try:
        name = read_header(uri).text("name of data file").replace("\\", "/")
    except InputError:
        return {}
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts or ":" in name:
        return {}
    image = "/".join([uri.rpartition("/")[0], *(part for part in parts if part not in ("", "."))])
    return {"image": (image,)} if image != uri and exists(image) else {}
