"""The format DICOM: dynamic PET series, one file for each slice or several slices in a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os.path import commonprefix

import numpy as np

from dlif_core.ingest.described import DescribedScan, SeriesOptions
from dlif_core.ingest.dicom.names import ENDINGS, any_marked, may_be_dicom
from dlif_core.ingest.reader import ImageGeometry, ScanFiles, ScanSource
from dlif_core.ingest.scan_table import read_scan_table
from dlif_core.ingest.series_files import any_below, files_below


class DicomFormat:
    """Dynamic PET in DICOM: PET Image Storage, Enhanced PET Image Storage, and series that PMOD exports."""

    name = "dicom"
    title = "DICOM"
    version = 1
    looks_for = "folders of PET series, *.dcm, *.ima or files without extension"
    options = SeriesOptions

    def recognises(self, uri: str) -> bool:
        """Tell by names, and by the mark in files whose names have no ending, whether DICOM lies at a URI."""
        if any_below(uri, lambda name: name.endswith(ENDINGS)):
            return True
        return any_below(uri, may_be_dicom) and any_marked(files_below(uri, may_be_dicom))

    def find(self, source: ScanSource) -> list[ScanFiles]:
        """List the dynamic PET series at a source; headers are read to tell series apart."""
        from dlif_core.ingest.dicom.listing import listed

        return listed(source, self.name)

    @contextmanager
    def describe(self, files: ScanFiles) -> Iterator[DescribedScan]:
        """Describe a scan; every file is opened once."""
        from dlif_core.ingest.dicom.description import described, require_dynamic_pet
        from dlif_core.ingest.dicom.pixels import whole_series

        where = _place(files)
        stated = read_scan_table(ScanSource(files.root, files.options)).fields(files.path)
        with whole_series(files.role("image"), lambda header: require_dynamic_pet(header, where)) as series:
            yield described(series, where, stated)

    def geometry(self, files: ScanFiles) -> ImageGeometry:
        """Read the grid of a scan's image from the headers of its files."""
        from dlif_core.ingest.dicom.description import frames_of
        from dlif_core.ingest.dicom.pixels import headers_only

        frames = frames_of(headers_only(files.role("image")), _place(files))
        edges = np.linalg.norm(frames.affine[:3, :3], axis=0)
        return ImageGeometry(frames.shape, (float(edges[2]), float(edges[1]), float(edges[0])))


def _place(files: ScanFiles) -> str:
    """Where a scan lies, for messages: its only file, or the folder that holds its files, with the number in it."""
    uris = files.role("image")
    if len(uris) == 1:
        return uris[0]
    folder = commonprefix(uris).rpartition("/")[0]  # noqa: RUF071  (addresses keep their double slash)
    return folder + "".join(files.path.partition("#")[1:])
