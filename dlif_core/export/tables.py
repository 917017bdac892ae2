"""Tables of the cohort for statistics programs: Parquet and TSV of the same content, and what their columns mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlif_core.export.files import new_file, write_record
from dlif_core.export.products import ExportedScan, ExportedStudy, weights_digest

if TYPE_CHECKING:
    import pandas as pd

_OF_SCAN = {
    "scan_id": ("string", "name of the scan", ""),
    "subject": ("string", "name of the subject", ""),
    "session": ("string", "name of the session", ""),
}
_NUMBER = "double"


@dataclass(frozen=True)
class _Table:
    """One table: its columns with type, meaning and unit, and what it holds of a scan."""

    title: str
    columns: Mapping[str, tuple[str, str, str]]
    rows: Callable[[ExportedScan], pd.DataFrame]


class TablesExporter:
    """One table for each kind of result; every row names its scan."""

    name = "tables"
    title = "tables for R and others: kinetic parameters, input functions, regions, scans (TSV, Parquet with pyarrow)"
    version = 1
    describes_others = False

    def export(self, study: ExportedStudy, folder: Path) -> None:
        """Write the tables and the dictionary of their columns into the folder ``tables``.

        Rows are written scan by scan, so that only one scan is in memory.
        """
        root = folder / self.name
        write_record(root / "columns.json", {name: _dictionary(table) for name, table in TABLES.items()})
        sinks = {name: _Sink(root, name, table) for name, table in TABLES.items()}
        for scan in study.scans():
            for sink in sinks.values():
                sink.append(scan)
        for sink in sinks.values():
            sink.close()


COHORT_TABLES = TablesExporter()


class _Parquet:
    """A Parquet file of a table, open for more rows."""

    def __init__(self, path: Path, table: _Table) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        fields = [pa.field(column, _arrow_type(kind), metadata=_units(unit)) for column, kind, unit in _fields(table)]
        self._schema = pa.schema(fields)
        self._writer = pq.ParquetWriter(new_file(path), self._schema)

    def append(self, rows: pd.DataFrame) -> None:
        """Add rows."""
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pandas(rows, self._schema, preserve_index=False))

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


class _Sink:
    """The files of a table, open for more rows; Parquet is written where pyarrow is installed."""

    def __init__(self, root: Path, name: str, table: _Table) -> None:
        self._table = table
        has_arrow = find_spec("pyarrow") is not None
        self._parquet = _Parquet(root / f"{name}.parquet", table) if has_arrow else None
        self._text = new_file(root / f"{name}.tsv").open("w", encoding="utf-8", newline="")
        self._text.write("\t".join(_columns(table)) + "\n")

    def append(self, scan: ExportedScan) -> None:
        """Add the rows of a scan."""
        rows = self._table.rows(scan)
        if rows.empty:
            return
        rows.insert(0, "session", scan.session or None)
        rows.insert(0, "subject", scan.subject or None)
        rows.insert(0, "scan_id", scan.scan_id)
        rows = rows[list(_columns(self._table))]
        if self._parquet is not None:
            self._parquet.append(rows)
        rows.to_csv(self._text, sep="\t", index=False, header=False, na_rep="n/a", lineterminator="\n")

    def close(self) -> None:
        """Finish the files."""
        if self._parquet is not None:
            self._parquet.close()
        self._text.close()


def _columns(table: _Table) -> Mapping[str, tuple[str, str, str]]:
    return {**_OF_SCAN, **table.columns}


def _fields(table: _Table) -> Iterator[tuple[str, str, str]]:
    for name, (kind, _, unit) in _columns(table).items():
        yield name, kind, unit


def _arrow_type(kind: str) -> Any:
    import pyarrow as pa

    return {"string": pa.string(), _NUMBER: pa.float64()}[kind]


def _units(unit: str) -> dict[str, str] | None:
    return {"units": unit} if unit else None


def _dictionary(table: _Table) -> dict[str, Any]:
    columns = {
        name: {"type": kind, "description": text} | ({"unit": unit} if unit else {})
        for name, (kind, text, unit) in _columns(table).items()
    }
    return {"description": table.title, "columns": columns}


def _parameters(scan: ExportedScan) -> pd.DataFrame:
    """Parameters of all analyses, one row a value."""
    import pandas as pd

    from dlif_core.export.parameters import long_table

    parts = [
        long_table(fit).assign(analysis=title, model=fit.attrs["model"], input_function=fit.attrs.get("input_function"))
        for title, fit in scan.regions.items()
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _input_functions(scan: ExportedScan) -> pd.DataFrame:
    """Input functions of all methods, one row a point."""
    import pandas as pd

    names = ("time", "whole_blood", "plasma", "lower", "upper")
    parts = [
        pd.DataFrame({name: getattr(curve, name) for name in names}).assign(method=method)
        for method, curve in scan.input_functions.items()
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _regions(scan: ExportedScan) -> pd.DataFrame:
    """Region curves, one row a region and frame."""
    import numpy as np
    import pandas as pd

    regions, timing = scan.scan.regions, scan.scan.timing
    count, frames = regions.activity.shape
    return pd.DataFrame(
        {
            "region": np.repeat(np.array(regions.names, dtype=object), frames),
            "volume": np.repeat(regions.volume, frames),
            "frame_start": np.tile(timing.start, count),
            "frame_duration": np.tile(timing.duration, count),
            "activity": regions.activity.ravel(),
        }
    )


def _scans(scan: ExportedScan) -> pd.DataFrame:
    """Metadata of the scan, in one row."""
    import pandas as pd

    about = scan.scan.acquisition
    digests = {method: weights_digest(curve) for method, curve in scan.input_functions.items()}
    row = {
        "tracer": about.tracer,
        "species": about.species or None,
        "half_life": about.half_life,
        "injected_activity": about.injected_activity,
        "body_weight": about.body_weight,
        "input_functions": " ".join(scan.input_functions) or None,
        "weights_digest": " ".join(one for one in digests.values() if one) or None,
        "fingerprint": scan.source.fingerprint,
    }
    return pd.DataFrame([row])


#: Tables by the name of their files.
TABLES: Mapping[str, _Table] = {
    "kinetic_parameters": _Table(
        "Kinetic parameters of regions, one row a value.",
        {
            "analysis": ("string", "name of the kinetic analysis", ""),
            "model": ("string", "name of the kinetic model", ""),
            "input_function": ("string", "method of the input function that was used", ""),
            "region": ("string", "region", ""),
            "parameter": ("string", "kinetic parameter", ""),
            "value": (_NUMBER, "estimate, in the unit of the row", ""),
            "standard_error": (_NUMBER, "standard error, in the unit of the row", ""),
            "interval_lower": (
                _NUMBER,
                "lower end of the 95 % profile-likelihood interval, in the unit of the row",
                "",
            ),
            "interval_upper": (
                _NUMBER,
                "upper end of the 95 % profile-likelihood interval, in the unit of the row",
                "",
            ),
            "unit": ("string", "unit of the row", ""),
            "status": ("string", "how the fit ended; only converged, at_bound and degenerate are estimates", ""),
        },
        _parameters,
    ),
    "input_functions": _Table(
        "Arterial input functions, one row a point; the curve is linear between the points.",
        {
            "method": ("string", "method of the input function", ""),
            "time": (_NUMBER, "time from injection", "s"),
            "whole_blood": (_NUMBER, "activity in whole blood, decay-corrected to injection", "Bq/mL"),
            "plasma": (_NUMBER, "activity of unchanged tracer in plasma, decay-corrected to injection", "Bq/mL"),
            "lower": (_NUMBER, "lower end of the method's band of whole blood", "Bq/mL"),
            "upper": (_NUMBER, "upper end of the method's band of whole blood", "Bq/mL"),
        },
        _input_functions,
    ),
    "regions": _Table(
        "Mean activity of regions, one row a region and frame.",
        {
            "region": ("string", "region", ""),
            "volume": (_NUMBER, "volume of the region", "mm3"),
            "frame_start": (_NUMBER, "start of the frame, from injection", "s"),
            "frame_duration": (_NUMBER, "duration of the frame", "s"),
            "activity": (_NUMBER, "mean activity, decay-corrected to injection", "Bq/mL"),
        },
        _regions,
    ),
    "scans": _Table(
        "Scans, one row each.",
        {
            "tracer": ("string", "name of the radiopharmaceutical", ""),
            "species": ("string", "species", ""),
            "half_life": (_NUMBER, "half-life of the radionuclide", "s"),
            "injected_activity": (_NUMBER, "injected activity", "Bq"),
            "body_weight": (_NUMBER, "body weight", "kg"),
            "input_functions": ("string", "methods of the input functions of the scan, with blanks between", ""),
            "weights_digest": ("string", "sha256 of the trained model of a learned input function", ""),
            "fingerprint": ("string", "fingerprint of the scan as it was read", ""),
        },
        _scans,
    ),
}
