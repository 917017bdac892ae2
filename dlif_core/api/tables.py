"""Tables of numbers with units: TSV and CSV files with a JSON sidecar, and pandas tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.api.acquisitions import pet_bids_fields
from dlif_core.errors import InputError, MissingInputError, UnitError
from dlif_core.units import CANONICAL, Dimension, factor, is_unit

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_IN_BRACKETS = re.compile(r"^(?P<name>.*\S)\s*(?:\[(?P<square>[^\[\]]+)\]|\((?P<round>[^()]+)\))$")


@dataclass(frozen=True, eq=False)
class QuantityTable:
    """Columns of numbers with the units that the table itself states.

    Attributes
    ----------
    columns
        Values by the column's name without its unit, each of shape (rows,); a cell without value is NaN.
    units
        Units that stand in the header, ``putamen [kBq/mL]``, by the column's name.
    sidecar
        Fields of the JSON file of the same name; empty without one.
    where
        The file, for messages.
    """

    columns: dict[str, Array]
    units: dict[str, str]
    sidecar: Mapping[str, Any] = field(default_factory=dict)
    where: str = "table"

    def first_of(self, *names: str) -> str | None:
        """The first of several names that is a column."""
        return next((name for name in names if name in self.columns), None)

    def stated_unit(self, column: str) -> str | None:
        """Unit of a column in its header or in the sidecar, or None."""
        described = self.sidecar.get(column)
        of_column = described.get("Units") if isinstance(described, Mapping) else None
        found = self.units.get(column) or of_column
        return str(found) if found else None

    def values(self, column: str, dimension: Dimension, given: str | None, argument: str) -> Array:
        """A column in dlif's canonical unit.

        Parameters
        ----------
        column
            Name of the column.
        dimension
            What it measures.
        given
            Unit that the caller gives for it, or None.
        argument
            Name of the caller's argument, for the hint.

        Raises
        ------
        UnitError
            If no unit is known, or the table states another than the caller.
        """
        where = f"{self.where}, column {column}"
        return self.columns[column] * agreed_factor(self.stated_unit(column), given, dimension, argument, where)


def agreed_factor(stated: str | None, given: str | None, dimension: Dimension, argument: str, where: str) -> float:
    """Factor to the canonical unit, once what the data state and what the caller gives agree.

    Raises
    ------
    UnitError
        If neither is there, one is unknown, or they differ.
    """
    example = f'{argument}="{_EXAMPLES[dimension]}"'
    if stated is None and given is None:
        raise UnitError(
            "the unit is not stated.",
            where=where,
            hint=f"Give {example}, or write the unit in the column's header, as in 'name [{_EXAMPLES[dimension]}]'.",
        )
    factors = {factor(str(unit), dimension, where=where) for unit in (stated, given) if unit is not None}
    if len(factors) > 1:
        raise UnitError(
            f"the data are said to be in {stated}, but {argument} is {given!r}.",
            where=where,
            hint=f"Correct one of them; without {argument} the stated unit is taken.",
        )
    return factors.pop()


_EXAMPLES: Mapping[Dimension, str] = dict(CANONICAL) | {"concentration": "kBq/mL"}


def read_quantities(source: object) -> QuantityTable:
    """Read a table of numbers.

    Parameters
    ----------
    source
        A ``.tsv`` or ``.csv`` file with a header line, or a pandas table. A JSON file of the same name beside it is its
        sidecar, as in BIDS.

    Raises
    ------
    MissingInputError
        If the file is not there.
    InputError
        If it is no table of numbers.
    """
    frame, where, sidecar = _frame(source)
    columns: dict[str, Array] = {}
    units: dict[str, str] = {}
    for position, label in enumerate(frame.columns):
        name, unit = split_header(str(label))
        if name in columns:
            raise InputError(f"column {name!r} is a duplicate.", where=where, hint="Rename or drop one of them.")
        columns[name] = _numbers(frame.iloc[:, position], name, where)
        if unit:
            units[name] = unit
    if not len(frame):
        raise InputError("the table has no rows.", where=where, hint="Write one row for each frame or sample.")
    return QuantityTable(columns, units, sidecar, where)


def split_header(label: str) -> tuple[str, str]:
    """Name and unit of a column: ``putamen [kBq/mL]``; round brackets hold a unit only if it is a known one."""
    found = _IN_BRACKETS.match(label.strip())
    if found is None or not (found["square"] or is_unit(found["round"])):
        return label.strip(), ""
    return found["name"], (found["square"] or found["round"]).strip()


def _frame(source: object) -> tuple[pd.DataFrame, str, Mapping[str, Any]]:
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        indexed = source if isinstance(source.index, pd.RangeIndex) else source.reset_index()
        return indexed, "table", pet_bids_fields(source.attrs)
    if not isinstance(source, str | Path) or not str(source):
        raise InputError(
            f"a table can't be read from {type(source).__name__}.",
            where="table",
            hint="Give the path of a .tsv or .csv file, or a pandas table.",
        )
    return _file(str(source)), str(source), _sidecar(str(source))


#: Files of spreadsheet programs, which are no text.
_WORKBOOKS = (".xlsx", ".xls", ".ods")


def _file(path: str) -> pd.DataFrame:
    import pandas as pd

    if path.lower().endswith(_WORKBOOKS) and Path(path).exists():
        raise InputError(
            "it is a spreadsheet, not a table of text.",
            where=path,
            hint="Save the sheet as .csv, or read it with pandas.read_excel and give the pandas table.",
        )
    try:
        cells = pd.read_csv(
            path, sep="," if path.lower().endswith(".csv") else "\t", header=None, dtype=str, encoding="utf-8-sig"
        )
    except FileNotFoundError as fault:
        raise MissingInputError("the file is not there.", where=path, hint="Correct the path.") from fault
    except (ValueError, OSError) as fault:  # parser, encoding and empty-file errors of pandas are ValueErrors
        raise InputError(
            f"it can't be read as a table: {fault}",
            where=path,
            hint="Save it as UTF-8 text, cells split by tabs (.tsv) or commas (.csv). With semicolons, give the table "
            'that pandas.read_csv(path, sep=";", decimal=",") reads.',
        ) from fault
    return cells.iloc[1:].set_axis(cells.iloc[0].fillna("").tolist(), axis=1)


def _sidecar(path: str) -> Mapping[str, Any]:
    from dlif_core.ingest.tables import read_json

    beside = re.sub(r"\.(tsv|csv)$", ".json", path, flags=re.IGNORECASE)
    try:
        return read_json(beside) if beside != path else {}
    except MissingInputError:
        return {}


def _numbers(column: pd.Series[Any], name: str, where: str) -> Array:
    import pandas as pd

    try:
        return np.array(pd.to_numeric(column), dtype=float)
    except (TypeError, ValueError) as fault:
        raise InputError(
            f"column {name!r} does not hold numbers: {fault}.",
            where=where,
            hint="Write numbers with a decimal point, n/a for a missing one; drop columns of text.",
        ) from fault
