"""The reader of PET-BIDS datasets; what does the work is imported when it is needed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import ClassVar

from dlif_core.ingest.label_options import LabelOptions, with_labels
from dlif_core.ingest.reader import ImageGeometry, IngestedScan, ScanFiles, ScanSource


class PetBids:
    """Scans of a PET-BIDS dataset: NIfTI images with JSON sidecars, tables of blood and of region curves."""

    name: ClassVar = "pet-bids"
    title: ClassVar = "PET-BIDS"
    version: ClassVar = 1
    looks_for: ClassVar = "sub-*/[ses-*/]pet/*_pet.json"
    options: ClassVar = LabelOptions

    def recognises(self, uri: str) -> bool:
        """Tell whether a URI is a folder that holds a folder ``sub-*``."""
        from dlif_core.ingest.bids.dataset import has_subjects

        return has_subjects(uri)

    def find(self, source: ScanSource) -> list[ScanFiles]:
        """List the scans of a dataset; see `dlif_core.ingest.bids.find.find_scans`."""
        from dlif_core.ingest.bids.find import find_scans

        return [with_labels(files) for files in find_scans(source, self.name)]

    def open(self, files: ScanFiles) -> AbstractContextManager[IngestedScan]:
        """Read and validate one scan; see `dlif_core.ingest.bids.scan.open_scan`."""
        from dlif_core.ingest.bids.scan import open_scan

        return open_scan(files)

    def geometry(self, files: ScanFiles) -> ImageGeometry | None:
        """Read the grid of a scan's image from its NIfTI header; None for a scan without image."""
        from dlif_core.ingest.nifti import image_geometry

        return image_geometry(files.role("image")[0]) if files.has_image else None
