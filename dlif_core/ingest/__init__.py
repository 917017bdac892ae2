"""Readers of scans: PET-BIDS datasets with NIfTI images, blood samples and region curves."""

from dlif_core.ingest.find import ScanFiles, find_scans
from dlif_core.ingest.image import image_geometry
from dlif_core.ingest.reader import IngestedScan, open_scan

__all__ = ["IngestedScan", "ScanFiles", "find_scans", "image_geometry", "open_scan"]
