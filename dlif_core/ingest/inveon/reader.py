"""The format of microPET and Inveon scanners."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from dlif_core.errors import MissingInputError
from dlif_core.ingest.described import DescribedScan, SeriesOptions
from dlif_core.ingest.reader import ImageGeometry, ScanFiles, ScanSource
from dlif_core.ingest.series_files import any_below, files_below, named_scans

_HEADER, _IMAGE = ".img.hdr", ".img"


class Inveon:
    """Dynamic images ``.img`` with text headers ``.img.hdr``."""

    name: ClassVar = "inveon"
    title: ClassVar = "Inveon"
    version: ClassVar = 1
    looks_for: ClassVar = "*.img with *.img.hdr"
    options: ClassVar = SeriesOptions

    def recognises(self, uri: str) -> bool:
        """Tell whether there are files ``.img.hdr``."""
        return any_below(uri, lambda name: name.endswith(_HEADER))

    def find(self, source: ScanSource) -> list[ScanFiles]:
        """List the scans below a URI, each a header with its image."""
        found = files_below(source.uri, lambda name: name.endswith((_HEADER, _IMAGE)))
        scans = {}
        for path, uri in found.items():
            if path.lower().endswith(_HEADER):
                image = path[: -len(".hdr")]
                there = {"image": (found[image],)} if image in found else {}
                scans[image] = {"header": (uri,), **there}
        return named_scans(source, self.name, scans)

    @contextmanager
    def describe(self, files: ScanFiles) -> Iterator[DescribedScan]:
        """Describe a scan; its image can be read until the context ends."""
        from dlif_core.checks import Finding
        from dlif_core.ingest.inveon.fields import fields_of, require_image, scales_of, signs_of, type_of, voxel_size_of
        from dlif_core.ingest.inveon.header import read_header
        from dlif_core.ingest.local_files import local_file
        from dlif_core.ingest.stored_volumes import StoredVolumes, affine_of

        header = read_header(files.role("header")[0])
        require_image(header)
        geometry = self.geometry(files)
        findings: list[Finding] = []
        fields, scales = fields_of(header, findings), scales_of(header, findings)
        frames, depth, height, width = geometry.shape
        shape = frames, depth, height, width
        affine = affine_of(shape, voxel_size_of(header), signs_of(header, findings))
        (uri,) = files.role("image")
        with local_file(uri) as path:
            offsets = [header.place(entries) for entries in header.frames]
            image = StoredVolumes(path, uri, type_of(header), shape, affine, offsets, scales)
            yield DescribedScan(fields, header.where, image, findings=tuple(findings))

    def geometry(self, files: ScanFiles) -> ImageGeometry:
        """Read the grid of a scan's image from its header."""
        from dlif_core.ingest.inveon.fields import voxel_size_of
        from dlif_core.ingest.inveon.header import read_header
        from dlif_core.ingest.stored_volumes import geometry_of, require_shape, require_voxel_size

        header = read_header(files.role("header")[0])
        if not files.role("image"):
            raise MissingInputError(
                "the image of this header is not there.",
                where=header.where.removesuffix(".hdr"),
                hint="Put it beside its header, under the same name without .hdr.",
            )
        shape = (len(header.frames), *(header.whole(f"{axis}_dimension") for axis in "zyx"))
        voxel_size = voxel_size_of(header)
        require_shape(shape, header.where)
        require_voxel_size(voxel_size, header.where)
        return geometry_of(shape, voxel_size)
