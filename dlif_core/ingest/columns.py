"""Columns of a table with their names in any spelling and the units that header and sidecar state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import InputError, UnitError
from dlif_core.ingest.tables import TextTable, is_given
from dlif_core.shown import LONGEST_NAME, columns_in_words, shortened
from dlif_core.units import Dimension, factor, is_unit

Array = NDArray[np.float64]

_IN_BRACKETS = re.compile(r"^(?P<name>.*\S)\s*(?:\[(?P<square>[^\[\]]+)\]|\((?P<round>[^()]+)\))$")
#: Name that pandas gives to a column without one.
_NAMELESS = re.compile(r"^Unnamed: \d+$")


def spelling(column: str) -> str:
    """Name of a column in the spelling of PET-BIDS: ``Frame start`` is ``frame_start``."""
    return re.sub(r"[\s-]+", "_", column.strip().lower())


def split_header(label: str) -> tuple[str, str]:
    """Name and unit of a column: ``putamen [kBq/mL]``; round brackets hold a unit only if it is a known one."""
    if _NAMELESS.match(label.strip()):
        return "", ""
    found = _IN_BRACKETS.match(label.strip())
    if found is None or not (found["square"] or is_unit(found["round"])):
        return label.strip(), ""
    return found["name"], (found["square"] or found["round"]).strip()


def stated_units(
    column: str, in_header: str | None, sidecar: Mapping[str, Any], of_all: object = None
) -> tuple[str, ...]:
    """Units of a column as its header, the sidecar and the sidecar for all columns say, those that are there.

    Parameters
    ----------
    column
        Name of the column without its unit.
    in_header
        Unit in the column's header, or nothing.
    sidecar
        Fields of the table's sidecar, which describes the column under its name in any case.
    of_all
        Unit that the sidecar states for all columns, or None.
    """
    described = _description(sidecar, column)
    of_column = described.get("Units") if isinstance(described, Mapping) else None
    return tuple(str(unit) for unit in (in_header, of_column, of_all) if is_given(unit))


def _description(sidecar: Mapping[str, Any], column: str) -> Any:
    if column in sidecar:
        return sidecar[column]
    alike = [key for key in sidecar if key.casefold() == column.casefold()]
    return sidecar[alike[0]] if len(alike) == 1 else None


def require_one_unit(stated: tuple[str, ...], dimension: Dimension, where: str) -> None:
    """Refuse a column whose units contradict each other.

    Raises
    ------
    UnitError
        If they do, or one of them is unknown.
    """
    if len({factor(unit, dimension, where=where) for unit in stated}) > 1:
        raise UnitError(
            f"the table and its sidecar state several units: {', '.join(dict.fromkeys(stated))}.",
            where=where,
            hint="Correct the header or the sidecar.",
        )


@dataclass(frozen=True)
class UnitColumns:
    """Columns of a text table, found in any spelling and converted to dlif's units.

    Attributes
    ----------
    table
        The table.
    sidecar
        Fields of its sidecar.
    place
        The sidecar that should state the units, for messages; the table if there is none.
    """

    table: TextTable
    sidecar: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""

    @cached_property
    def _headers(self) -> dict[str, tuple[str, str]]:
        """Name and unit in the header by label."""
        return {label: split_header(label) for label in self.table.columns}

    @property
    def labels(self) -> tuple[str, ...]:
        """Headers of all columns as they stand in the table."""
        return tuple(self.table.columns)

    def name(self, label: str) -> str:
        """Name of a column without its unit."""
        return self._headers[label][0]

    def find(self, *names: str) -> str | None:
        """Label of the column that has one of these names, in any spelling; None without one.

        Raises
        ------
        InputError
            If there are several.
        """
        found = [label for label in self.labels if self.name(label) in names]
        found = found or [label for label in self.labels if spelling(self.name(label)) in names]
        if len(found) > 1:
            raise InputError(
                f"columns {' and '.join(map(shortened, found))} mean the same.",
                where=self.table.where,
                hint="Keep one of them.",
            )
        return found[0] if found else None

    def require(self, *names: str) -> list[str]:
        """Labels of columns that must be there.

        Raises
        ------
        InputError
            If one isn't.
        """
        labels = {name: self.find(name) for name in names}
        missing = [name for name, label in labels.items() if label is None]
        if missing:
            listed = columns_in_words(self.labels, missing)
            raise InputError(
                f"column {' and '.join(map(repr, missing))} is missing; the file has {listed}.",
                where=self.table.where,
                hint="Add or rename the columns.",
            )
        return [label for label in labels.values() if label is not None]

    def unit(self, label: str, dimension: Dimension, of_all: object = None) -> str | None:
        """Unit of a column in its header or in the sidecar, or None.

        Raises
        ------
        UnitError
            If the units contradict each other or one of them is unknown.
        """
        name, in_header = self._headers[label]
        stated = stated_units(name, in_header, self.sidecar, of_all)
        place = self.table.where if in_header else self.place or self.table.where
        require_one_unit(stated, dimension, f"{place}, column {name[:LONGEST_NAME]}")
        return stated[0] if stated else None

    def values(self, label: str, dimension: Dimension, otherwise: str | None = None, of_all: object = None) -> Array:
        """A column in dlif's canonical unit, shape (rows,); a cell without value is NaN.

        Parameters
        ----------
        label
            The column.
        dimension
            What it measures.
        otherwise
            Unit that is taken if none is stated.
        of_all
            Unit that the sidecar states for all columns, or None.

        Raises
        ------
        UnitError
            If no unit is known, or units contradict each other.
        InputError
            If a cell is not a number.
        """
        unit = self.unit(label, dimension, of_all) or otherwise
        if unit is None:
            name = self.name(label)
            raise UnitError(
                f"the sidecar states no unit for column {shortened(name)}.",
                where=self.place or self.table.where,
                hint=f'Add "{name[:LONGEST_NAME]}": {{"Units": …}}, in the unit that the table is written in.',
            )
        return self.table.numbers(label) * factor(unit, dimension)
