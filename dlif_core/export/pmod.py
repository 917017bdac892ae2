"""Curves for PMOD: regions as ``.tac``, input functions as ``.bld``; seconds from injection and kBq/cc.

Headers hold the units in square brackets, as PMOD's kinetic tool (PKIN) documents for the import of text files: of the
tissue columns ``start`` names the unit of time and ``end`` that of activity, ``sample-time`` and ``whole-blood`` or
``plasma`` those of blood. Plasma is the curve of unchanged tracer, so that the parent fraction stays at its default 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dlif_core.export.files import unlike_names, write_table
from dlif_core.export.products import ExportedScan, ExportedStudy
from dlif_core.store.layout import part_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Bq/mL to kBq/cc.
_KILO = 1e-3


class PmodExporter:
    """Text files of curves, three or more for each scan."""

    name = "pmod"
    title = "curves for PMOD: regions (.tac), whole blood and parent plasma of each input function (.bld)"
    version = 1
    describes_others = False

    def export(self, study: ExportedStudy, folder: Path) -> None:
        """Write the curves into the folder ``pmod``."""
        for scan in study.scans():
            stem = part_for(scan.scan_id)
            _write(folder / self.name / f"{stem}.tac", _region_columns(scan))
            for method, curve in scan.input_functions.items():
                for what, values in (("whole-blood", curve.whole_blood), ("parent-plasma", curve.plasma)):
                    columns = {
                        "sample-time[seconds]": curve.time,
                        f"{what.removeprefix('parent-')}[kBq/cc]": _KILO * values,
                    }
                    _write(folder / self.name / f"{stem}_{part_for(method)}_{what}.bld", columns)


PMOD = PmodExporter()


def _region_columns(scan: ExportedScan) -> dict[str, NDArray[np.float64]]:
    """Frame times and the curve of each region; PMOD's names of regions have no tabs."""
    timing, regions = scan.scan.timing, scan.scan.regions
    times = {"start[seconds]": timing.start, "end[kBq/cc]": timing.start + timing.duration}
    names = unlike_names([" ".join(name.split()) for name in regions.names], [*times])
    return times | {name: _KILO * curve for name, curve in zip(names, regions.activity, strict=True)}


def _write(path: Path, columns: Mapping[str, NDArray[np.float64]]) -> None:
    import pandas as pd

    write_table(path, pd.DataFrame(dict(columns)))
