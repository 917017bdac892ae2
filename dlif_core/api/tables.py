"""Tables of numbers with units: TSV and CSV files with a JSON sidecar, and pandas tables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.api.acquisitions import pet_bids_fields
from dlif_core.errors import InputError, MissingInputError, UnitError
from dlif_core.ingest.columns import require_one_unit, spelling, split_header, stated_units
from dlif_core.ingest.tables import TABLE_BYTES, TextTable, is_given, read_json, read_table
from dlif_core.ingest.uris import read_text
from dlif_core.units import CANONICAL, Dimension, factor

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: Kinds of data that pandas would turn into numbers: time spans, dates, booleans, complex numbers.
_NO_NUMBERS = "mMbc"
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons"}


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

    def one_of(self, *names: str) -> str | None:
        """The column that has one of these names, in any spelling; None without one.

        Raises
        ------
        InputError
            If there are several.
        """
        found = [column for column in self.columns if spelling(column) in names]
        if len(found) > 1:
            raise InputError(
                f"columns {' and '.join(map(repr, found))} mean the same.", where=self.where, hint="Keep one of them."
            )
        return found[0] if found else None

    def stated_unit(self, column: str) -> str | None:
        """Unit of a column in its header or in the sidecar, or None."""
        return next(iter(stated_units(column, self.units.get(column), self.sidecar)), None)

    def values(
        self, column: str, dimension: Dimension, given: str | None, argument: str, *, of_all: object = None
    ) -> Array:
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
        of_all
            Unit that the sidecar states for all columns of this dimension, or None.

        Raises
        ------
        UnitError
            If no unit is known, or header, sidecar and caller don't agree.
        """
        where = f"{self.where}, column {column}"
        stated = stated_units(column, self.units.get(column), self.sidecar, of_all)
        require_one_unit(stated, dimension, where)
        return self.columns[column] * agreed_factor(next(iter(stated), None), given, dimension, argument, where)


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
    known = [(unit, typed) for unit, typed in ((stated, False), (given, True)) if unit is not None]
    factors = {factor(str(unit), dimension, where=where, typed=typed) for unit, typed in known}
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
    frame = frame.dropna(how="all")
    columns: dict[str, Array] = {}
    units: dict[str, str] = {}
    for position, label in enumerate(frame.columns):
        name, unit = split_header(str(label))
        if not name and frame.iloc[:, position].isna().all():
            continue
        if name in columns:
            raise InputError(f"column {name!r} is a duplicate.", where=where, hint="Rename or drop one of them.")
        columns[name] = _numbers(frame.iloc[:, position], name, where)
        if unit:
            units[name] = unit
    if not len(frame):
        raise InputError("the table has no rows.", where=where, hint="Write one row for each frame or sample.")
    return QuantityTable(columns, units, sidecar, where)


def _frame(source: object) -> tuple[pd.DataFrame, str, Mapping[str, Any]]:
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        indexed = source if isinstance(source.index, pd.RangeIndex) else source.reset_index()
        return indexed, "table", pet_bids_fields(source.attrs)
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    if not isinstance(path, str) or not path:
        raise InputError(
            f"a table can't be read from {type(source).__name__}.",
            where="table",
            hint="Give the path of a .tsv or .csv file, or a pandas table.",
        )
    return _file(path), path, _sidecar(path)


#: Files of spreadsheet programs, which are no text.
_WORKBOOKS = (".xlsx", ".xls", ".ods")


def _file(path: str) -> pd.DataFrame:
    if path.lower().endswith(_WORKBOOKS) and os.path.exists(path):
        raise InputError(
            "it is a spreadsheet, not a table of text.",
            where=path,
            hint="Save the sheet as .csv, or read it with pandas.read_excel and give the pandas table.",
        )
    separator = "," if path.lower().endswith(".csv") else "\t"
    cells = _comma_separated(path) if separator == "," else _tab_separated(path)
    _require_split(cells, separator, path)
    return cells.where(cells.map(is_given))


def _tab_separated(path: str) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(read_table(path).columns, dtype=object)


def _comma_separated(path: str) -> pd.DataFrame:
    """Cells of a CSV file, in which quotation marks may hold commas, but no line ends."""
    import pandas as pd

    text = read_text(path, TABLE_BYTES)
    try:
        cells = pd.read_csv(StringIO(text), header=None, dtype=str, na_filter=False)
    except ValueError as fault:  # faults of the parser and empty files
        raise InputError(
            f"it can't be read as a table: {fault}",
            where=path,
            hint="Save it as UTF-8 text, cells split by tabs (.tsv) or commas (.csv), with decimal points.",
        ) from fault
    over = cells.map(lambda cell: isinstance(cell, str) and "\n" in cell).to_numpy().any(axis=1)
    if over.any():
        raise InputError(
            f"a cell runs over the end of its line, in row {int(over.argmax())} below the header.",
            where=path,
            hint="Remove quotation marks that stand alone.",
        )
    return cells.iloc[1:].set_axis(cells.iloc[0].fillna("").str.strip().tolist(), axis=1)


def _require_split(cells: pd.DataFrame, separator: str, path: str) -> None:
    others = [word for mark, word in _SEPARATORS.items() if mark in str(cells.columns[0])]
    if cells.shape[1] == 1 and others:
        raise InputError(
            f"its cells are split by {others[0]}, not by {_SEPARATORS[separator]}.",
            where=path,
            hint="Save it with tabs (.tsv) or commas (.csv), or give the table that pandas.read_csv(path, "
            'sep=";", decimal=",") reads.',
        )


def _sidecar(path: str) -> Mapping[str, Any]:
    beside = re.sub(r"\.(tsv|csv)$", ".json", path, flags=re.IGNORECASE)
    try:
        return read_json(beside) if beside != path else {}
    except MissingInputError:
        return {}


def _numbers(column: pd.Series[Any], name: str, where: str) -> Array:
    import pandas as pd

    hint = "Write numbers with a decimal point, n/a for a missing one; drop columns of text."
    given = column.dropna()
    if len(given) and all(isinstance(cell, str) for cell in given):
        return TextTable({name: column.fillna("").tolist()}, where).numbers(name)
    try:
        numbers = pd.to_numeric(column)
    except (TypeError, ValueError) as fault:
        raise InputError(f"column {name!r} does not hold numbers: {fault}.", where=where, hint=hint) from fault
    for kind in (column.dtype, numbers.dtype):
        if getattr(kind, "kind", "O") in _NO_NUMBERS:
            raise InputError(f"column {name!r} holds {kind}, not numbers.", where=where, hint=hint)
    return np.array(numbers, dtype=float)
