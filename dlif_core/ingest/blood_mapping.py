"""A mapping of blood tables: which columns of a counter's output or a spreadsheet hold what, in a YAML file.

For every recording it names the file, the columns of time and of counts or activities, the unit of each, the clock time
from which times count, the calibration of the counter, the volume of a sample, and whether decay is corrected. What
comes out is a table of PET-BIDS: seconds and Bq/mL, decay-corrected to time zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dlif_core.errors import BloodError, InputError, MissingInputError
from dlif_core.ingest.bids.fields import clock
from dlif_core.ingest.blood_clocks import seconds_of_clock
from dlif_core.ingest.described import DescribedTable
from dlif_core.ingest.tables import TextTable, number, read_table
from dlif_core.ingest.uris import exists
from dlif_core.radionuclides import HALF_LIVES, nuclide
from dlif_core.units import factor
from dlif_core.validation import Section, validated
from dlif_core.yaml_files import read_yaml

Array = NDArray[np.float64]

#: Column of PET-BIDS by what it holds.
_COLUMNS = {
    "whole_blood": "whole_blood_radioactivity",
    "plasma": "plasma_radioactivity",
    "parent_fraction": "metabolite_parent_fraction",
}
#: Units of volumes [mL], and of what counters give [counts/s]; counts themselves need a time of counting.
_VOLUMES = {"ml": 1.0, "cc": 1.0, "ul": 1e-3, "µl": 1e-3, "l": 1e3, "g": 1.0}
_RATES = {"cps": 1.0, "counts/s": 1.0, "kcps": 1e3, "cpm": 1 / 60, "counts/min": 1 / 60}
_COUNTS = ("counts", "count")
_HINT = "Correct the mapping; docs/formats/tables.md describes it."

_Above = Annotated[float, Field(gt=0)]


class MappedTime(Section):
    """Where the times of samples stand.

    Attributes
    ----------
    column
        Column of the times.
    unit
        Unit of time, or ``clock`` for times of day.
    zero
        Clock time from which they count, hh:mm:ss; "" for that of the scan. Clock times need it.
    """

    column: str
    unit: str
    zero: str = ""


class MappedValue(Section):
    """Where the values of samples stand.

    Attributes
    ----------
    column
        Column of the values.
    unit
        A unit of concentration or of activity, ``counts``, ``cps``, ``cpm``, ``kcps``, or ``1`` or ``%`` for fractions.
    calibration
        Bq/mL for one count per second, or Bq where there is a volume; counters alone have one.
    volume
        Volume of each sample, in ``volume_unit``: a number, or the name of a column. Values are divided by it.
    volume_unit
        Unit of the volumes; g is taken as mL.
    counting_time
        Time for which each sample was counted [s]: a number, or the name of a column; for ``counts``.
    """

    column: str
    unit: str
    calibration: _Above | None = None
    volume: _Above | str | None = None
    volume_unit: str = "mL"
    counting_time: _Above | str | None = None


class MappedRecording(Section):
    """One recording of blood.

    Attributes
    ----------
    name
        Name of the recording, letters and digits.
    file
        The table, below the folder of the mapping.
    sheet
        Sheet of a workbook; the first if it is "".
    source
        Path of the scan that it is of, or a pattern with ``*``, as in the table of scans.
    sampling
        Whether the blood is arterial or venous.
    time
        Times of the samples.
    whole_blood, plasma, parent_fraction
        Values of the samples.
    decay
        ``corrected``: values are decay-corrected to the zero of the times. ``sampling``: each is the activity at its
        sampling. Else the column with the time at which each sample was counted, in the unit of the times.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,40}$")]
    file: str
    time: MappedTime
    decay: str
    sheet: str = ""
    source: str = "*"
    sampling: Literal["arterial", "venous"] = "arterial"
    whole_blood: MappedValue | None = None
    plasma: MappedValue | None = None
    parent_fraction: MappedValue | None = None


class _Mapping(Section):
    recordings: list[MappedRecording]


@dataclass(frozen=True)
class BloodMapping:
    """The recordings of a mapping.

    Attributes
    ----------
    uri
        The file; "" for no mapping.
    recordings
        All of them.
    """

    uri: str = ""
    recordings: tuple[MappedRecording, ...] = ()

    def of_scan(self, path: str) -> list[MappedRecording]:
        """Recordings of a scan by its path below the data."""
        return [one for one in self.recordings if one.source == path or fnmatchcase(path, one.source)]

    def of_no_scan(self, paths: Collection[str]) -> list[str]:
        """Names of the recordings that are of none of the scans, by their paths below the data."""
        used = {id(recording) for path in paths for recording in self.of_scan(path)}
        return [one.name for one in self.recordings if id(one) not in used]

    def file(self, recording: MappedRecording) -> str:
        """URI of the table of a recording."""
        return f"{self.uri.rpartition('/')[0] or '.'}/{recording.file}"

    def uris(self, path: str) -> tuple[str, ...]:
        """Files that decide the blood of a scan, those that are there."""
        files = dict.fromkeys(self.file(recording) for recording in self.of_scan(path))
        return (self.uri, *(uri for uri in files if exists(uri))) if files else ()

    def tables(self, path: str, fields: Mapping[str, Any]) -> dict[str, DescribedTable]:
        """Blood of a scan as PET-BIDS has it.

        Parameters
        ----------
        path
            Path of the scan below the data.
        fields
            Fields of its sidecar, for the half-life.

        Raises
        ------
        InputError
            If a table is missing, can't be read, or a column or unit is not as the mapping says.
        """
        tables: dict[str, DescribedTable] = {}
        for recording in self.of_scan(path):
            name = f"venous{recording.name}" if recording.sampling == "venous" else recording.name
            if name in tables:
                raise BloodError(f"two recordings of {path} are called {name}.", where=self.uri, hint=_HINT)
            tables[name] = _Reading(recording, self.file(recording), fields).table()
        return tables


def read_blood_mapping(uri: str) -> BloodMapping:
    """Read a mapping; an empty one for "".

    Raises
    ------
    MissingInputError
        If it is not there.
    ConfigurationError
        If it can't be read, or a key is unknown or missing.
    """
    if not uri:
        return BloodMapping()
    if not exists(uri):
        raise MissingInputError("the mapping of blood is not there.", where=uri, hint="Correct the path.")
    mapping = validated(_Mapping, read_yaml(uri), where=uri, hint=_HINT)
    for recording in mapping.recordings:
        if recording.file.startswith("/") or ".." in recording.file.split("/") or "://" in recording.file:
            raise InputError(
                f"{recording.file[:80]!r} leads out of the folder.", where=uri, hint="Put the table below."
            )
    return BloodMapping(uri, tuple(mapping.recordings))


@dataclass(frozen=True)
class _Reading:
    """One recording with its table and the fields of its scan."""

    recording: MappedRecording
    uri: str
    fields: Mapping[str, Any]

    def table(self) -> DescribedTable:
        """The recording in seconds and Bq/mL; rows without a time are left out."""
        table = read_table(self.uri, sheet=self.recording.sheet)
        time = self._times(table, self.recording.time.column)
        kept = np.isfinite(time)
        columns: dict[str, list[float]] = {"time": time[kept].tolist()}
        described: dict[str, Any] = {"time": {"Units": "s"}}
        correction = self._correction(table, time)
        for name, column in _COLUMNS.items():
            mapped: MappedValue | None = getattr(self.recording, name)
            if mapped is not None:
                is_fraction = name == "parent_fraction"
                values = self._fractions(table, mapped) if is_fraction else self._activities(table, mapped) * correction
                self._require_none_lost(table, mapped, kept & ~np.isfinite(values))
                columns[column] = values[kept].tolist()
                described[column] = {"Units": "1" if is_fraction else "Bq/mL"}
        if len(columns) == 1:
            raise BloodError("the recording maps no values.", where=self.uri, hint=_HINT)
        zero = {"TimeZero": self.recording.time.zero} if self.recording.time.zero else {}
        return DescribedTable(columns, described | zero, self.uri)

    def _require_none_lost(self, table: TextTable, mapped: MappedValue, lost: NDArray[np.bool_]) -> None:
        """Refuse values that are stated and can't be worked out."""
        rows = np.flatnonzero(lost & np.isfinite(self._numbers(table, mapped.column)))
        if len(rows):
            raise BloodError(
                f"data row {rows[0] + 1} has a value, but no volume, time of counting or decay that gives an activity.",
                where=self.uri,
                hint="Give volumes and times above zero, or take the value out.",
            )

    def _cells(self, table: TextTable, column: str) -> list[str]:
        if column not in table.columns:
            raise InputError(
                f"there is no column {column[:60]!r}.", where=self.uri, hint="Correct the mapping or the header."
            )
        return table.columns[column]

    def _numbers(self, table: TextTable, column: str) -> Array:
        self._cells(table, column)
        return table.numbers(column)

    def _times(self, table: TextTable, column: str, latest: float = 12.0) -> Array:
        """Seconds from the zero of the times."""
        unit = self.recording.time.unit
        if unit != "clock":
            return self._numbers(table, column) * factor(unit, "time", where=f"{self.uri}, unit of time", typed=True)
        zero = clock(self.recording.time.zero)
        if zero is None:
            raise BloodError("clock times need a `zero`, hh:mm:ss.", where=self.uri, hint=_HINT)
        return seconds_of_clock(self._cells(table, column), zero, self.uri, latest)

    def _fractions(self, table: TextTable, mapped: MappedValue) -> Array:
        unit = factor(mapped.unit, "fraction", where=f"{self.uri}, unit of the fraction", typed=True)
        return self._numbers(table, mapped.column) * unit

    def _activities(self, table: TextTable, mapped: MappedValue) -> Array:
        """Bq/mL, with the decay that the values have."""
        values = self._numbers(table, mapped.column)
        unit = mapped.unit.strip().lower()
        if unit in _COUNTS or unit in _RATES:
            return self._rates(table, mapped, values) * self._calibration(mapped) / self._volume(table, mapped)
        if mapped.calibration is not None:
            raise BloodError(f"a calibration is for counts, not for {mapped.unit}.", where=self.uri, hint=_HINT)
        if mapped.volume is not None:
            activity = factor(mapped.unit, "activity", where=f"{self.uri}, unit of the values", typed=True)
            return values * activity / self._volume(table, mapped)
        return values * factor(mapped.unit, "concentration", where=f"{self.uri}, unit of the values", typed=True)

    def _rates(self, table: TextTable, mapped: MappedValue, values: Array) -> Array:
        """Counts per second."""
        unit = mapped.unit.strip().lower()
        if unit in _RATES:
            return values * _RATES[unit]
        if mapped.counting_time is None:
            raise BloodError("counts need a `counting_time`.", where=self.uri, hint=_HINT)
        seconds = self._number_or_column(table, mapped.counting_time)
        return values / np.where(seconds > 0, seconds, np.nan)

    def _calibration(self, mapped: MappedValue) -> float:
        if mapped.calibration is None:
            raise BloodError("counts need a `calibration`, Bq/mL or Bq for one per second.", where=self.uri, hint=_HINT)
        return mapped.calibration

    def _volume(self, table: TextTable, mapped: MappedValue) -> Array:
        """Volumes [mL]; ones where there are none."""
        if mapped.volume is None:
            return np.ones(1)
        unit = _VOLUMES.get(mapped.volume_unit.strip().lower())
        if unit is None:
            raise BloodError(f"{mapped.volume_unit[:20]!r} is no unit of volume.", where=self.uri, hint=_HINT)
        volume = self._number_or_column(table, mapped.volume) * unit
        return np.where(volume > 0, volume, np.nan)

    def _number_or_column(self, table: TextTable, stated: float | str) -> Array:
        found = number(stated)
        return self._numbers(table, str(stated)) if found is None else np.array([found])

    def _correction(self, table: TextTable, time: Array) -> Array:
        """Factor from the activity of each value to that at the zero of the times."""
        decay = self.recording.decay
        if decay == "corrected":
            return np.ones(1)
        at = time if decay == "sampling" else self._times(table, decay, latest=23.0)
        with np.errstate(over="ignore"):
            return np.asarray(np.exp2(at / self._half_life()))

    def _half_life(self) -> float:
        stated = number(self.fields.get("RadionuclideHalfLife"))
        listed = HALF_LIVES.get(nuclide(str(self.fields.get("TracerRadionuclide") or "")))
        found = stated or listed
        if not found or found <= 0:
            raise BloodError(
                "the samples are not decay-corrected, and the nuclide of the scan is not known.",
                where=self.uri,
                hint="State TracerRadionuclide in the table of scans.",
            )
        return found
