"""Readers of scans: one protocol, one registry, a room or a module for each format."""

from dlif_core.ingest.corrections import Corrections
from dlif_core.ingest.motion import MotionCorrection
from dlif_core.ingest.partial_volume import PartialVolume
from dlif_core.ingest.reader import (
    ImageGeometry,
    IngestedScan,
    ListingFault,
    Reader,
    ReaderOptions,
    ScanFiles,
    ScanSource,
)
from dlif_core.ingest.registry import (
    READERS,
    deciding_facts,
    find_scans,
    image_geometry,
    looked_for,
    open_scan,
)

__all__ = [
    "READERS",
    "Corrections",
    "ImageGeometry",
    "IngestedScan",
    "ListingFault",
    "MotionCorrection",
    "PartialVolume",
    "Reader",
    "ReaderOptions",
    "ScanFiles",
    "ScanSource",
    "deciding_facts",
    "find_scans",
    "image_geometry",
    "looked_for",
    "open_scan",
]
