"""Reading of region curves from a table."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlif_core.api.acquisitions import acquisition_of
from dlif_core.api.blood_tables import GivenBlood, given_blood
from dlif_core.api.notices import warn
from dlif_core.api.pet_scan import PetScan
from dlif_core.api.tables import QuantityTable, agreed_factor, read_quantities
from dlif_core.errors import FrameTimingError, InputError, UnitError
from dlif_core.frames import FrameTiming
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_START, _END, _DURATION = ("frame_start", "start"), ("frame_end", "end"), ("frame_duration", "duration")
#: Columns that number or describe frames; they hold no region.
_NO_REGIONS = ("", "index", "frame", "frame_number", "frame_mid", "mid", "time")
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
    recordings, curve = given_blood(blood, blood_units, blood_time_unit)
    notes += tuple(f"there is a {gap}." for gap in timing.gaps)
    warn(notes)
    return PetScan(DynamicScan(timing, described, regions), recordings, curve, notes)


def _timing(table: QuantityTable, time_unit: str | None) -> FrameTiming:
    """Frames of a table [s]."""
    start, end, duration = (table.first_of(*names) for names in (_START, _END, _DURATION))
    if start is None or (end is None and duration is None):
        raise FrameTimingError(
            f"the table has no frame times, only {', '.join(map(repr, list(table.columns)[:8]))}.",
            where=table.where,
            hint="Name the columns frame_start and frame_end, or frame_start and frame_duration.",
        )

    def seconds(column: str) -> Array:
        return table.values(column, "time", time_unit or (None if table.stated_unit(column) else "s"), "time_unit")

    starts = seconds(start)
    lengths = seconds(duration) if duration is not None else seconds(str(end)) - starts
    timing = FrameTiming(starts, lengths, where=table.where)
    if time_unit is None and table.stated_unit(start) is None:
        _require_no_minutes(timing, table.where)
    return timing


def _require_no_minutes(timing: FrameTiming, where: str) -> None:
    if timing.end[-1] <= _SHORT_SCAN:
        raise UnitError(
            f"the last frame ends at {timing.end[-1]:g}, which may be minutes or seconds.",
            where=where,
            hint='Give time_unit="min" or time_unit="s".',
        )


def _regions(table: QuantityTable, units: str | None) -> RegionCurves:
    frames = (*_START, *_END, *_DURATION, *_NO_REGIONS)
    columns = [name for name in table.columns if name not in frames]
    if not columns:
        raise InputError("the table has no column of a region.", where=table.where, hint="Add a column for a region.")
    of_all = table.sidecar.get("Units")

    def activity(column: str) -> Array:
        stated = None if table.stated_unit(column) else of_all
        return table.values(column, "concentration", _agreed(stated, units, table.where), "units")

    unknown = np.full(len(columns), np.nan)
    return RegionCurves(tuple(columns), [activity(name) for name in columns], unknown, table.where)  # type: ignore[arg-type]


def _agreed(stated: object, given: str | None, where: str) -> str | None:
    """The unit that a sidecar states for all columns, or the one that is given; None if there is neither."""
    if stated is None:
        return given
    agreed_factor(str(stated), given, "concentration", "units", where)
    return str(stated)


def _require_corrected_to_injection(table: QuantityTable) -> None:
    fields: Mapping[str, object] = table.sidecar
    shifted = [name for name in ("InjectionStart", "ImageDecayCorrectionTime") if fields.get(name) not in (None, 0)]
    if shifted or fields.get("ImageDecayCorrected") is False:
        fields_named = ", ".join(shifted) or "ImageDecayCorrected"
        raise InputError(
            f"times or activities do not refer to injection: {fields_named} in its sidecar.",
            where=table.where,
            hint="Read the dataset with dlif.open_scan, which converts them.",
        )
