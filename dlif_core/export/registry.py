"""Registry of the exporters.

An exporter is one line in `EXPORTERS`. Other packages add theirs by an entry point of the group ``dlif.exporters``.
"""

from __future__ import annotations

from dlif_core.export.bids import BIDS
from dlif_core.export.dicom import DICOM
from dlif_core.export.exporter import Exporter
from dlif_core.export.pmod import PMOD
from dlif_core.export.ro_crate import RO_CRATE
from dlif_core.export.tables import COHORT_TABLES
from dlif_core.registry import Registry

#: Exporters by name, in the order in which they run.
EXPORTERS: Registry[Exporter] = Registry(
    "export format", "dlif.exporters", [BIDS, COHORT_TABLES, DICOM, PMOD, RO_CRATE]
)

#: Formats that are written where none is named.
DEFAULT_FORMATS = ("bids", "tables")
