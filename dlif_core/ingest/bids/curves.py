"""Region curves from the tables of a PET-BIDS dataset's derivatives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import Finding
from dlif_core.checks.metadata import REGIONS_LEFT_OUT, UNIT_NOT_GIVEN
from dlif_core.errors import CurveError, FrameTimingError, InputError, UnitError
from dlif_core.frames import FrameTiming
from dlif_core.ingest.bids.metadata import Metadata
from dlif_core.ingest.bids.sidecar import read_sidecar
from dlif_core.ingest.columns import UnitColumns
from dlif_core.ingest.label_names import label_names
from dlif_core.ingest.reader import ScanFiles
from dlif_core.ingest.tables import read_table
from dlif_core.scan import RegionCurves
from dlif_core.shown import LONGEST_NAME

Array = NDArray[np.float64]

_TIMES = ("frame_start", "frame_end")


def the_only(uris: Sequence[str], what: str, hint: str) -> str:
    """Return the only file in a role.

    Raises
    ------
    InputError
        If there are several; the message lists them.
    """
    if len(uris) > 1:
        raise InputError(f"the scan has {len(uris)} {what}: {', '.join(uris)}.", where=uris[0], hint=hint)
    return uris[0]


def read_curves(files: ScanFiles, metadata: Metadata) -> tuple[RegionCurves, tuple[Finding, ...]]:
    """Read a scan's table of region curves (``*_tacs.tsv``) with volumes and names from its companions.

    Returns
    -------
    Curves [Bq/mL], decay-corrected to injection like the image they were taken from, and findings.

    Raises
    ------
    InputError
        If several tables match, or the table is unreadable.
    FrameTimingError
        If its frames are not those of the scan.
    CurveError
        If no region is left.
    """
    uri = the_only(
        files.role("curves"),
        "tables of region curves",
        'Choose one with the setting `curves`, for example curves: "*_desc-gtmseg_tacs.tsv".',
    )
    sidecars = files.role("curves_sidecar")
    table = UnitColumns(read_table(uri), read_sidecar(sidecars), sidecars[-1] if sidecars else "")
    findings: list[Finding] = []
    times = table.require(*_TIMES)
    _require_same_frames(table, times, metadata)
    columns = [label for label in table.labels if label not in times]
    activity = _activity(table, columns, metadata, findings)
    names = _region_names([table.name(label)[:LONGEST_NAME] for label in columns], files)
    keep = _finite_regions(names, activity, uri, findings)
    volumes = _volumes(files, findings)
    kept = tuple(names[i] for i in keep)
    volume = np.array([volumes.get(name, np.nan) for name in kept])
    return RegionCurves(kept, activity[keep] * metadata.image_decay, volume, source=uri), tuple(findings)


def _activity(table: UnitColumns, columns: Sequence[str], metadata: Metadata, findings: list[Finding]) -> Array:
    """Region curves [Bq/mL] as the table has them, shape (regions, frames), each in the unit that is stated for it.

    Where no unit is stated at all, it is that of the image.

    Raises
    ------
    UnitError
        If units are stated for some regions only, contradict each other or are not known.
    """
    of_all = table.sidecar.get("Units")
    without = [label for label in columns if table.unit(label, "concentration", of_all) is None]
    if without and len(without) < len(columns):
        raise UnitError(
            f"units are stated for {len(columns) - len(without)} of {len(columns)} regions, not for "
            f"{', '.join(label[:LONGEST_NAME] for label in without[:5])}{' …' if len(without) > 5 else ''}.",
            where=table.place or table.table.where,
            hint="State the unit of each column, or one for all at the top level of the sidecar.",
        )
    if without:
        message = f"No unit of the region curves is stated; they are taken to be in {metadata.unit}, like the image."
        findings.append(UNIT_NOT_GIVEN.found(message, where=table.table.where))
    values = [table.values(label, "concentration", metadata.unit, of_all) for label in columns]
    return np.array(values).reshape(len(columns), len(metadata.timing))


def _require_same_frames(table: UnitColumns, times: Sequence[str], metadata: Metadata) -> None:
    start, end = (table.values(label, "time", "s") - metadata.injection_start for label in times)
    timing: FrameTiming = metadata.timing
    where = table.table.where
    hint = f"Extract the curves again, or correct the frame times in {metadata.where}."
    if len(start) != len(timing):
        raise FrameTimingError(f"the table has {len(start)} frames, the scan {len(timing)}.", where=where, hint=hint)
    tolerance = np.maximum(0.01 * timing.duration, 0.5)
    apart = ~((np.abs(start - timing.start) <= tolerance) & (np.abs(end - timing.end) <= tolerance))
    if apart.any():
        frame = int(np.argmax(apart))
        raise FrameTimingError(
            f"frame {frame + 1} is {start[frame]:g} to {end[frame]:g} s in the table, "
            f"{timing.start[frame]:g} to {timing.end[frame]:g} s in the scan.",
            where=where,
            hint=hint,
        )


def _region_names(columns: Sequence[str], files: ScanFiles) -> list[str]:
    """Return the region name of each column; a column named by a label number is looked up."""
    table = label_names(files.role("dseg"))
    return [table.get(int(name), name) if name.isdigit() else name for name in columns]


def _finite_regions(names: Sequence[str], activity: Array, uri: str, findings: list[Finding]) -> list[int]:
    keep = [i for i in range(len(names)) if np.isfinite(activity[i]).all()]
    dropped = [name for i, name in enumerate(names) if i not in keep]
    if dropped:
        message = f"Regions with values that are not finite are left out: {', '.join(dropped)}."
        findings.append(REGIONS_LEFT_OUT.found(message, where=uri))
    if not keep:
        raise CurveError("no region has a finite curve.", where=uri, hint="Extract the region curves again.")
    return keep


def _volumes(files: ScanFiles, findings: list[Finding]) -> dict[str, float]:
    """Read region volumes [mm³] by name from a ``*_morph.tsv``; return nothing without a file."""
    if not files.role("morph"):
        return {}
    table = read_table(files.role("morph")[0])
    column = next((name for name in table.columns if name.replace("_", "-") == "volume-mm3"), None)
    if column is None or "name" not in table.columns:
        return {}
    names = [name[:LONGEST_NAME] for name in table.columns["name"]]
    volumes = dict(zip(names, table.numbers(column).tolist(), strict=True))
    without = [name for name, volume in volumes.items() if volume <= 0]
    if without:
        message = f"Volumes that are not above zero are taken as unknown: {', '.join(without)}."
        findings.append(REGIONS_LEFT_OUT.found(message, where=table.where))
    return {name: volume for name, volume in volumes.items() if volume > 0}
