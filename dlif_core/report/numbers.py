"""Text of numbers, units and tables in reports."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from dlif_core.scan import Acquisition

#: Text for a number that is missing.
ABSENT = "–"

_UNITS = {
    "1": "",
    "min-1": "min⁻¹",
    "mL cm-3 min-1": "mL·cm⁻³·min⁻¹",
    "mL cm-3": "mL·cm⁻³",
    "Bq/mL*s": "Bq/mL·s",
}


def unit_text(unit: str) -> str:
    """A unit attribute of a dataset as text for a report; "" for a plain number."""
    return _UNITS.get(unit, unit)


def decimals(values: Iterable[float], errors: Iterable[float] = ()) -> int:
    """Decimals that a column of numbers should have.

    Two significant digits of the median standard error; without errors, three of the median value.
    """
    for numbers, digits in ((errors, 1), (values, 2)):
        sizes = [abs(number) for number in numbers if math.isfinite(number) and number != 0]
        if sizes:
            return min(max(digits - math.floor(math.log10(median(sizes))), 0), 6)
    return 2


def number(value: float | None, places: int) -> str:
    """A number with given decimals; with two significant digits where the value is too small or too large for them."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if abs(value) >= 1e7 or (value != 0 and abs(value) < 0.5 * 10.0**-places):
        return f"{value:.2g}".replace("-", "−")
    return f"{value:.{places}f}".replace("-", "−")


def significant(value: float | None, digits: int = 3) -> str:
    """A number with given significant digits, not in exponent form between 0.001 and a million."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if not -4 < size < 6:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    return f"{value:.{max(digits - 1 - size, 0)}f}".replace("-", "−")


@dataclass(frozen=True)
class ActivityScale:
    """Unit in which a report shows activity.

    Attributes
    ----------
    factor
        Factor from Bq/mL to the unit.
    unit
        ``SUV`` where dose and weight are known, else ``kBq/mL``.
    """

    factor: float
    unit: str

    @classmethod
    def of(cls, acquisition: Acquisition) -> ActivityScale:
        """SUV if the acquisition knows dose and weight."""
        factor = acquisition.suv_factor
        return cls(1e-3, "kBq/mL") if factor is None else cls(factor, "SUV")


@dataclass(frozen=True)
class Heading:
    """Head of a column: its text, unit and explanation."""

    text: str
    unit: str = ""
    note: str = ""
    #: Text columns are set left, numbers right.
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """One cell: text, its standard error, a link, and a tone ("good", "warn", "bad") that sets it off."""

    text: str
    error: str = ""
    tone: str = ""
    link: str = ""


@dataclass(frozen=True)
class ReportTable:
    """A table; the first column heads the rows."""

    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
