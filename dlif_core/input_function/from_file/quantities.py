"""The quantities that files hold: in Bq/mL and seconds from injection, decay-corrected to injection, repaired."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.blood_samples.repair import repair
from dlif_core.blood_samples.series import Series
from dlif_core.errors import BloodError, UnitError
from dlif_core.input_function.from_file.options import ACTIVITIES, FileFormat, FromFileOptions, Quantity
from dlif_core.input_function.from_file.tables import CurveTable
from dlif_core.scan import Acquisition
from dlif_core.shown import columns_in_words
from dlif_core.units import Dimension, factor

Array = NDArray[np.float64]
Names = Mapping[Quantity, tuple[str, ...]]

#: Names of columns that the programs write, as `_spelling` gives them.
_KNOWN: Mapping[FileFormat, Names] = {
    "bloodstream": {
        "time": ("time",),
        "whole_blood": ("whole_blood_radioactivity",),
        "plasma": ("plasma_radioactivity",),
        "parent": ("aif",),
        "parent_fraction": ("metabolite_parent_fraction",),
    },
    "pmod": {
        "time": ("time", "sample_time"),
        "whole_blood": ("whole_blood", "blood"),
        "plasma": ("plasma", "plasma.1"),
        "parent": ("parent", "plasma_parent", "parent_plasma"),
        "parent_fraction": ("parent_fraction", "parent_fraction.1"),
        "plasma_fraction": ("plasma_fraction", "plasma_fraction.1"),
    },
    "table": {},
}
_FRACTIONS = ("parent_fraction", "plasma_fraction")
#: bloodstream writes Bq/mL and calls it Bq; PMOD writes 1/1 for a number without unit.
_UNITS: Mapping[FileFormat, Mapping[str, str]] = {
    "bloodstream": {"Bq": "Bq/mL", "kBq": "kBq/mL"},
    "pmod": {"1/1": "1"},
    "table": {},
}


@dataclass(frozen=True, eq=False)
class FileCurves:
    """What the files of a scan hold.

    Attributes
    ----------
    series
        Samples of each quantity: activities [Bq/mL], fractions, over seconds from injection.
    source
        The files.
    recordings
        Each activity as it was read, before any repair.
    warnings
        What was repaired or not used.
    """

    series: Mapping[Quantity, Series]
    source: str
    recordings: tuple[BloodRecording, ...] = ()
    warnings: tuple[str, ...] = ()


def file_curves(tables: Iterable[CurveTable], acquisition: Acquisition, options: FromFileOptions) -> FileCurves:
    """The quantities of one or several files of a scan.

    Raises
    ------
    UnitError
        If a unit is missing, unknown, or contradicts the options.
    BloodError
        If no file holds activity, a quantity is there twice, or values can't be repaired.
    """
    tables = tuple(tables)
    source = ", ".join(table.where for table in tables)
    found: dict[Quantity, Series] = {}
    warnings: list[str] = []
    read: list[BloodRecording] = []
    for table in tables:
        columns = _columns(table, options)
        for quantity in columns.keys() & found.keys() - {"time"}:
            raise BloodError(
                f"two files hold {_words(quantity)}.",
                where=source,
                hint=f"Name one of them in `path` of {options.setting}.",
            )
        time = _seconds(table, columns["time"], acquisition, options)
        for quantity, column in columns.items():
            if quantity != "time" and not np.isnan(table.numbers(column)).all():
                recording = _recording(table, quantity, column, time, acquisition, options)
                found[quantity], repaired = _series(recording, quantity, options)
                warnings += repaired
                read += [recording] if quantity in ACTIVITIES else []
        warnings += _unused(table, columns, options)
    _require_activity(found, tables, source, options)
    return FileCurves(found, source, tuple(read), tuple(dict.fromkeys(warnings)))


def _columns(table: CurveTable, options: FromFileOptions) -> dict[Quantity, str]:
    """Names of the table's columns by what they hold."""
    known = _KNOWN[options.kind]
    columns: dict[Quantity, str] = {}
    for quantity in get_args(Quantity):
        given = options.columns.get(quantity)
        named = [
            name for name in table.cells if (name == given if given else _spelling(name) in known.get(quantity, ()))
        ]
        if len(named) > 1:
            listed = " and ".join(map(repr, named))
            raise BloodError(
                f"columns {listed} mean the same.", where=table.where, hint=f"Name one in `columns`: {{{quantity}: …}}."
            )
        if named and named[0] not in columns.values():
            columns[quantity] = named[0]
    _require_columns(table, columns, options)
    return columns


def _require_columns(table: CurveTable, columns: Mapping[Quantity, str], options: FromFileOptions) -> None:
    missing = [] if len(options.path) > 1 else [name for name in options.columns.values() if name not in table.cells]
    if missing or "time" not in columns:
        absent = " and ".join(map(repr, missing)) or "of times (averages over frames don't make an input function)"
        raise BloodError(
            f"there is no column {absent}; the file has {columns_in_words(table.cells, _words_of_columns(options))}.",
            where=table.where,
            hint=f"Name the columns in `columns` of {options.setting}: {{time: …, {options.needed[0]}: …}}.",
        )


def _require_activity(
    found: Mapping[Quantity, Series], tables: Iterable[CurveTable], source: str, options: FromFileOptions
) -> None:
    if set(options.needed) & found.keys():
        return
    wanted = ", ".join(map(_words, options.needed[:-1])) + f" or {_words(options.needed[-1])}"
    listed = columns_in_words((name for table in tables for name in table.cells), _words_of_columns(options))
    raise BloodError(
        f"no column holds {wanted}; there are {listed}.",
        where=source,
        hint=f"Name the columns in `columns` of {options.setting}: {{time: …, {options.needed[0]}: …}}.",
    )


def _unused(table: CurveTable, columns: Mapping[Quantity, str], options: FromFileOptions) -> tuple[str, ...]:
    """A warning of columns that nobody named: one may be the plasma that is missed."""
    unused = [name for name in table.cells if name not in columns.values()]
    if options.kind == "table" or not unused:
        return ()
    listed = columns_in_words(unused, _words_of_columns(options))
    return (f"{table.where.rsplit('/', 1)[-1]}: not used: {listed}.",)


def _words_of_columns(options: FromFileOptions) -> list[str]:
    """Names of columns that files of input functions have."""
    known = (name for kind in _KNOWN.values() for names in kind.values() for name in names)
    return ["input function", *options.columns.values(), *known]


def _seconds(table: CurveTable, column: str, acquisition: Acquisition, options: FromFileOptions) -> Array:
    """Times from injection [s]."""
    scale = _factor(table, column, "time", options.time_unit, options)
    return table.numbers(column) * scale - injection_in_file(acquisition, options)


def injection_in_file(acquisition: Acquisition, options: FromFileOptions) -> float:
    """Time of injection on the files' axis [s].

    Raises
    ------
    BloodError
        If the injection is not at the scan's time zero, and nothing says from when the files count.
    """
    if options.injection_s is not None:
        return options.injection_s
    of_scan = acquisition.injection_start or 0.0
    if options.kind == "bloodstream" or of_scan == 0:
        return of_scan
    raise BloodError(
        f"the injection is {of_scan:g} s from the scan's time zero, and nothing says from when the file counts.",
        where=", ".join(options.path),
        hint=f"State injection_s: 0 if it counts from injection, injection_s: {of_scan:g} if from time zero.",
    )


def _recording(
    table: CurveTable,
    quantity: Quantity,
    column: str,
    time: Array,
    acquisition: Acquisition,
    options: FromFileOptions,
) -> BloodRecording:
    """One quantity like samples of blood, as it was read."""
    values = table.numbers(column)
    measured = ~np.isnan(values)
    if quantity in _FRACTIONS:
        values = values * _factor(table, column, "fraction", None, options)
    else:
        values = values * _factor(table, column, "concentration", options.units, options)
        values = values * _decay(time, acquisition, options)
    of_blood: dict[str, Any] = {_kind(quantity): values[measured]}
    return BloodRecording(_words(quantity), True, time[measured], source=table.where, **of_blood)


def _kind(quantity: Quantity) -> str:
    """Column of a recording that a quantity is repaired as."""
    return quantity if quantity in ("whole_blood", "parent_fraction") else "plasma"


def _series(recording: BloodRecording, quantity: Quantity, options: FromFileOptions) -> tuple[Series, tuple[str, ...]]:
    """One quantity, repaired like blood samples, with the warnings of that."""
    repaired, warnings = repair(recording)
    values = getattr(repaired, _kind(quantity))
    left = ~np.isnan(values)
    return Series(repaired.time[left], values[left], np.full(left.sum(), options.kind)), warnings


def _decay(time: Array, acquisition: Acquisition, options: FromFileOptions) -> Array:
    """Factor from the files' activities to such that are decay-corrected to injection, by time from injection."""
    reference = options.decay_corrected_to or "time-zero"
    if reference == "none":
        return np.asarray(2.0 ** (time / acquisition.half_life))
    from_injection = 0.0 if reference == "injection" else -injection_in_file(acquisition, options)
    return np.full(len(time), 2.0 ** (from_injection / acquisition.half_life))


def _factor(table: CurveTable, column: str, dimension: Dimension, given: str | None, options: FromFileOptions) -> float:
    """Factor to dlif's unit, once the file and the options agree."""
    where = f"{table.where}, column {column}"
    stated = table.stated_units(column)
    if not stated and dimension == "concentration" and options.kind == "pmod":
        stated = tuple(unit for unit in table.units.values() if _is_concentration(unit))[:1]
    spelled = _UNITS[options.kind]
    units = [spelled.get(unit, unit) for unit in (*stated, *([given] if given else []))]
    if not units:
        option = "time_unit" if dimension == "time" else "units"
        if dimension == "fraction":
            return 1.0
        raise UnitError(
            f"the file does not state the unit of this {dimension}.",
            where=where,
            hint=f"State it as `{option}` of {options.setting}, for example {option}: "
            + ("s" if dimension == "time" else "kBq/mL"),
        )
    if len({factor(unit, dimension, where=where) for unit in units}) > 1:
        raise UnitError(
            f"the units don't agree: {', '.join(dict.fromkeys(units))}.",
            where=where,
            hint=f"Correct the header, the sidecar or the options of {options.setting}.",
        )
    return factor(units[0], dimension, where=where)


def _is_concentration(unit: str) -> bool:
    try:
        return bool(factor(unit, "concentration"))
    except UnitError:
        return False


def _spelling(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def _words(quantity: str) -> str:
    return {"parent": "parent plasma"}.get(quantity, quantity.replace("_", " "))
