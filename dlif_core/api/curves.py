"""Reading of region curves from a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlif_core.api.acquisitions import acquisition_of
from dlif_core.api.blood_tables import GivenBlood, given_blood
from dlif_core.api.checked import checked
from dlif_core.api.notices import warn
from dlif_core.api.pet_scan import PetScan
from dlif_core.api.tables import QuantityTable, read_quantities
from dlif_core.errors import FrameTimingError, InputError, UnitError
from dlif_core.frames import FrameTiming
from dlif_core.ingest.columns import spelling
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves
from dlif_core.units import factor

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_START, _END, _DURATION = ("frame_start", "start"), ("frame_end", "end"), ("frame_duration", "duration")
#: Columns that number or describe frames; they hold no region.
_NO_REGIONS = ("", "index", "frame", "frame_number", "frame_mid", "mid", "mid_time", "time_mid", "time")
#: Share of a frame by which its end time may differ from start and duration, because tables round.
_ROUNDING = 0.01
#: A scan that ends before this [s], in a table that does not say that its times are seconds, may be one in minutes.
_SHORT_SCAN = 180.0


def read_curves(
    curves: str | PathLike[str] | pd.DataFrame,
    blood: GivenBlood = None,
    *,
    units: str | None = None,
    time_unit: str | None = None,
    blood_units: str | None = None,
    blood_time_unit: str | None = None,
    radionuclide: str | None = None,
    acquisition: Acquisition | None = None,
    accept: Collection[str] = (),
) -> PetScan:
    r"""Read a scan from a table of region curves, and its blood from another.

    The table has a row for each frame: columns ``frame_start`` and ``frame_end`` or ``frame_duration``, and one column
    for each region. Activities are decay-corrected to injection, times count from injection. What a table does not
    state itself, in its header (``putamen [kBq/mL]``) or in the JSON sidecar of the same name as in PET-BIDS, is given
    here; a unit that neither states is refused, and so is one that contradicts the table.

    Parameters
    ----------
    curves
        A ``.tsv`` or ``.csv`` file, or a pandas table, whose ``attrs`` may state ``units``, ``half_life`` [s] and
        ``tracer``.
    blood
        Blood that was sampled along with it: a table with the columns ``time``, ``whole_blood``, ``plasma``,
        ``parent_fraction`` (or their names in PET-BIDS), a list of such tables, or an input function, for example from
        `dlif.blood`.
    units, blood_units
        Unit of the activities of each table, such as ``kBq/mL``.
    time_unit, blood_time_unit
        Unit of the times; seconds where nothing is stated, as in PET-BIDS.
    radionuclide
        Name such as ``C11``, for its half-life; None where the sidecar states it.
    acquisition
        Tracer, half-life, dose and weight in one, given in place of `radionuclide`.
    accept
        Names of checks whose doubts about the data are accepted, as `accept` in a study file.

    Raises
    ------
    UnitError
        If a unit is missing, unknown or contradicts the table.
    InputError
        If a table can't be read, the frames are impossible, a curve is not finite or the half-life is unknown.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> scan = dlif.read_curves("tacs.tsv", blood="blood.tsv")
    >>> fit = dlif.fit(scan, "2tcm-irreversible")
    >>> fit["Ki"].round(4).values.tolist()
    [0.0286, 0.0218]

    A pandas table is read likewise; what it can't state is given.

    >>> import pandas as pd
    >>> table = pd.read_csv("tacs.tsv", sep="\t")
    >>> dlif.read_curves(table, units="kBq/mL", radionuclide="F18")
    <PetScan: 42 frames to 45.5 min, 2 regions, no image, no blood>
    """
    table = read_quantities(curves)
    _require_corrected_to_injection(table)
    timing = _timing(table, time_unit)
    described, notes = acquisition_of(acquisition, radionuclide, table.sidecar, table.where)
    regions = _regions(table, units)
    recordings, curve, of_blood = given_blood(blood, blood_units, blood_time_unit)
    scan, recordings, found = checked(DynamicScan(timing, described, regions), recordings, accept)
    notes += of_blood + tuple(f"there is a {gap}." for gap in timing.gaps) + found
    warn(notes)
    return PetScan(scan, recordings, curve, notes, accepted=tuple(accept))


def _timing(table: QuantityTable, time_unit: str | None) -> FrameTiming:
    """Frames of a table [s]."""
    start, end, duration = (table.one_of(*names) for names in (_START, _END, _DURATION))
    if start is None or (end is None and duration is None):
        raise FrameTimingError(
            f"the table has no frame times, only {', '.join(map(repr, list(table.columns)[:8]))}.",
            where=table.where,
            hint="Name the columns frame_start and frame_end, or frame_start and frame_duration.",
        )

    named = [column for column in (start, end, duration) if column is not None]
    unit = time_unit or _unit_of_unstated_times(table, named)
    seconds = {
        column: table.values(column, "time", time_unit or (None if table.stated_unit(column) else unit), "time_unit")
        for column in named
    }
    ends, lengths = (None if column is None else seconds[column] for column in (end, duration))
    timing = FrameTiming(seconds[start], _durations(seconds[start], ends, lengths, table.where), where=table.where)
    if time_unit is None and table.stated_unit(start) is None:
        _require_no_minutes(timing, table.where)
    return timing


def _unit_of_unstated_times(table: QuantityTable, columns: list[str]) -> str:
    """Seconds, unless another column of the same table states something else: then nobody knows."""
    stated = {column: unit for column in columns if (unit := table.stated_unit(column)) is not None}
    other = [column for column, unit in stated.items() if factor(unit, "time", where=table.where) != 1.0]
    if other and len(stated) < len(columns):
        unstated = next(column for column in columns if column not in stated)
        raise UnitError(
            f"column {other[0]} is in {stated[other[0]]}, but the unit of column {unstated} is not stated.",
            where=table.where,
            hint="Write the unit in the headers of all columns of times.",
        )
    return "s"


def _durations(start: Array, end: Array | None, duration: Array | None, where: str) -> Array:
    """Durations of the frames [s] from what the table has; end times have to agree with them."""
    if end is None:
        assert duration is not None, "a table has one of both"
        return duration
    if duration is None:
        return np.asarray(end - start)
    difference = np.abs(start + duration - end)
    if (difference > np.maximum(_ROUNDING * duration, 1e-3)).any():
        raise FrameTimingError(
            f"frame {int(np.argmax(difference)) + 1} has an end time that is not its start and duration.",
            where=where,
            hint="Correct or drop one of the columns frame_end and frame_duration.",
        )
    return duration


def _require_no_minutes(timing: FrameTiming, where: str) -> None:
    if timing.end[-1] <= _SHORT_SCAN:
        raise UnitError(
            f"the last frame ends at {timing.end[-1]:g}, which may be minutes or seconds.",
            where=where,
            hint='Give time_unit="min" or time_unit="s".',
        )


def _regions(table: QuantityTable, units: str | None) -> RegionCurves:
    frames = (*_START, *_END, *_DURATION, *_NO_REGIONS)
    columns = [name for name in table.columns if spelling(name) not in frames]
    if not columns:
        raise InputError("the table has no column of a region.", where=table.where, hint="Add a column for a region.")
    of_all = table.sidecar.get("Units")
    activity = [table.values(name, "concentration", units, "units", of_all=of_all) for name in columns]
    unknown = np.full(len(columns), np.nan)
    return RegionCurves(tuple(columns), activity, unknown, table.where)  # type: ignore[arg-type]


def _require_corrected_to_injection(table: QuantityTable) -> None:
    fields: Mapping[str, object] = table.sidecar
    shifted = [name for name in ("InjectionStart", "ImageDecayCorrectionTime") if fields.get(name) not in (None, 0)]
    uncorrected = (
        fields.get("ImageDecayCorrected") is False or str(fields.get("DecayCorrection") or "").upper() == "NONE"
    )
    if shifted or uncorrected:
        fields_named = ", ".join(shifted) or "no decay correction"
        raise InputError(
            f"times or activities do not refer to injection: {fields_named} in its sidecar.",
            where=table.where,
            hint="Read the dataset with dlif.open_scan, which converts them.",
        )
