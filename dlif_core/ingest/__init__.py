"""Readers of scans: PET-BIDS datasets with NIfTI images, blood samples and region curves."""

from dlif_core.ingest.bids.find import ScanFiles, find_scans
from dlif_core.ingest.bids.reader import IngestedScan, open_scan
from dlif_core.ingest.nifti import image_geometry

__all__ = ["IngestedScan", "ScanFiles", "find_scans", "image_geometry", "open_scan"]
