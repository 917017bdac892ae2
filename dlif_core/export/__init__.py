"""Results of a study in the formats of other programs.

An exporter is one module with one object and one entry in `EXPORTERS`; all else (which scans and products there are,
where the files go, how a folder is replaced) is common.
"""

from dlif_core.export.exporter import Exporter
from dlif_core.export.products import ExportedScan, ExportedStudy
from dlif_core.export.registry import DEFAULT_FORMATS, EXPORTERS

__all__ = ["DEFAULT_FORMATS", "EXPORTERS", "ExportedScan", "ExportedStudy", "Exporter"]
