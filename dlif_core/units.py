"""The one place where units are parsed and converted.

dlif computes in Bq/mL, Bq, s and kg. Files spell units in many ways (``BQML``, ``kBq/ml``, ``Mbq``);
an unknown or missing unit is refused, never guessed.
"""

from __future__ import annotations

from typing import Literal

from dlif_core.errors import UnitError
from dlif_core.shown import UNIT_WORDS, shortened, shown

Dimension = Literal["concentration", "activity", "time", "mass", "length", "fraction"]

#: Canonical unit of each dimension.
CANONICAL: dict[Dimension, str] = {
    "concentration": "Bq/mL",
    "activity": "Bq",
    "time": "s",
    "mass": "kg",
    "length": "mm",
    "fraction": "1",
}

_PREFIX = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_ACTIVITY = {f"{prefix}bq": factor for prefix, factor in _PREFIX.items()} | {
    "ci": 3.7e10,
    "mci": 3.7e7,
    "uci": 3.7e4,
    "nci": 37.0,
}
_MICRO = {ord("\N{MICRO SIGN}"): "u", ord("\N{GREEK SMALL LETTER MU}"): "u"}
_VOLUME = {"ml": 1.0, "cc": 1.0, "cm3": 1.0, "cm^3": 1.0, "l": 1e3}
_CONCENTRATION = {
    f"{activity}/{volume}": factor / millilitres
    for activity, factor in _ACTIVITY.items()
    for volume, millilitres in _VOLUME.items()
} | {"bqml": 1.0, "kbqml": 1e3}

# Keys are lower case: no file means millibecquerel, so "mBq", "MBQ" and "Mbq" are all megabecquerel.
_TABLE: dict[Dimension, dict[str, float]] = {
    "concentration": _CONCENTRATION,
    "activity": _ACTIVITY,
    "time": {
        **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
        **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
        **dict.fromkeys(("min", "minute", "minutes"), 60.0),
        **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    },
    "length": {
        **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
        **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
        **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1e3),
    },
    "mass": {
        **dict.fromkeys(("kg", "kgs", "kilogram", "kilograms", "kilogramme", "kilogrammes"), 1.0),
        **dict.fromkeys(("g", "gram", "grams", "gramme", "grammes"), 1e-3),
        **dict.fromkeys(("lb", "lbs", "pound", "pounds"), 0.45359237),
    },
    "fraction": {
        **dict.fromkeys(("1", "unitless", "fraction", "arbitrary", "ratio", "none", "n/a"), 1.0),
        **dict.fromkeys(("%", "percent"), 0.01),
    },
}


def is_unit(text: str) -> bool:
    """Whether a text beside a name is a unit; words that only say that a number has none don't count.

    Examples
    --------
    >>> is_unit("kBq/mL"), is_unit("%"), is_unit("left"), is_unit("1")
    (True, True, False, False)
    """
    measured = (known for dimension, known in _TABLE.items() if dimension != "fraction")
    return _key(text) in ("%", "percent") or any(_key(text) in known for known in measured)


def _key(unit: str) -> str:
    """The spelling in which a unit is looked up: without blanks, in lower case, u for both signs of micro."""
    return "".join(unit.lower().split()).translate(_MICRO)


def factor(unit: str | None, dimension: Dimension, *, where: object = "", typed: bool = False) -> float:
    """Factor that turns a value in `unit` into dlif's canonical unit of the dimension.

    Parameters
    ----------
    unit
        The unit as a file spells it; case and blanks don't matter.
    dimension
        What the value measures.
    where
        File and field that the unit came from, for the error message.
    typed
        Whether the caller of dlif wrote it, as an argument or in a study file: then the message shows it as it is.
        Of a file, only words of units are shown.

    Raises
    ------
    UnitError
        If the unit is missing or unknown for that dimension.

    Examples
    --------
    >>> factor("kBq/ml", "concentration"), factor("Mbq", "activity"), factor("BQML", "concentration")
    (1000.0, 1000000.0, 1.0)
    """
    known = _TABLE[dimension]
    if unit is None or (isinstance(unit, str) and not unit.strip()):
        raise UnitError(
            f"no unit is given for this {dimension}.",
            where=where,
            hint=f"State it, for example {CANONICAL[dimension]!r}.",
        )
    key = _key(unit) if isinstance(unit, str) else ""
    if key not in known:
        raise UnitError(
            f"{shortened(unit) if typed else shown(unit, UNIT_WORDS)} is not a known unit of {dimension}.",
            where=where,
            hint=f"Use for example {CANONICAL[dimension]!r}; known spellings: {', '.join(sorted(known)[:14])} …",
        )
    return known[key]
