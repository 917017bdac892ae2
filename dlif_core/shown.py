"""What messages show of the content of files: numbers, units and technical words, never free text.

Names, dates and remarks of people stand where nobody expects them: in a column that has slipped, in a table without a
header line. So a value that can't be read is shown only if nothing in it can be of that kind.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Collection, Iterable, Mapping

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 40

#: Longest text of a file that is kept, for names of tracers and regions.
LONGEST_NAME = 100

_WORD = re.compile(r"[^\W\d_]+")
#: Words that stand beside numbers, or in their place.
_TECHNICAL = frozenset(
    _WORD.findall(
        "e x o s sec secs second seconds min mins minute minutes h hr hrs hour hours ms am pm utc z kg g mg lb lbs bq "
        "kbq mbq gbq bqml kbqml ci mci uci µci nci ml cc cm l m inf infinity nan na n a d nd nv none null nil true "
        "false yes no on off unknown missing empty not given measured available applicable done failed high low over "
        "under above below limit range saturated detection lod lloq ref div value num name error bolus infusion start "
        "admin corrected uncorrected about approx ca circa unit units "
    )
)
#: Words in the names of columns that a table may lack; of a header with others, nothing is shown.
_COLUMN = _TECHNICAL | frozenset(
    _WORD.findall(
        "time times blood plasma whole total activity radioactivity concentration metabolite parent fraction ratio "
        "free frame frames start end mid duration region regions label labels index mean mode volume size mm subject "
        "participant session id scan recording weight mass body age sex species dose injected counts sample samples "
        "aif input function curve tac value units corrected decay fp cp wb hematocrit haematocrit in of the to per by "
    )
)
#: Words of units, known or not.
UNIT_WORDS = frozenset(
    _WORD.findall(
        "ul µl dl liter litre liters litres milliliter millilitre milliliters millilitres microliter becquerel stone "
        "becquerels kilobecquerel megabecquerel gigabecquerel curie curies millicurie microcurie count counts cps kcps "
        "cpm dpm per tissue blood plasma dose injected id suv suvbw suvlbm bw percent pct unitless fraction arbitrary "
        "ratio gram grams gramme kilogram kilograms pound pounds day days d dy voxel pixel mm micro milli millisecond "
    )
)
#: A date, a telephone or an insurance number: figures joined by a hyphen or slash, 12.03.1970, or nine in a row.
_NO_NUMBER = re.compile(r"\d\s*[-/]\s*\d|\d\.\d{1,2}\.(?:\d{2}){1,2}(?!\d)|\d{9}")


def counted(count: int, noun: str) -> str:
    """A count with its noun, such as ``1 warning`` or ``2 warnings``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def shortened(text: object) -> str:
    """A value as Python writes it, cut to a length that fits into a message: for names of known columns."""
    return _SHORT.repr(text)


def shown(value: object, words: Collection[str] = ()) -> str:
    """A value that is not what a field must hold, as a message may show it.

    Parameters
    ----------
    value
        The value.
    words
        Words, in small letters, that a text in its place may have beside those that stand at numbers.

    Examples
    --------
    >>> shown("70,5"), shown("12 kBq"), shown([0, 10, None]), shown("Jane Doe"), shown("1970-01-01")
    ("'70,5'", "'12 kBq'", '[0, 10, None]', 'text of 8 characters', 'text of 10 characters')
    >>> shown("F-19", ("f",)), shown("counts", ("counts",))
    ("'F-19'", "'counts'")
    """
    if isinstance(value, str):
        return shortened(value) if _is_technical(value, words) else f"text of {len(value)} characters"
    if isinstance(value, Mapping) and value:
        return "an object"
    if isinstance(value, list | tuple) and not all(_is_plain(entry) for entry in value):
        return f"a list of {len(value)} values"
    return shortened(value)


def _is_plain(entry: object) -> bool:
    return _is_technical(entry) if isinstance(entry, str) else not isinstance(entry, list | tuple | Mapping)


def _is_technical(text: str, words: Collection[str] = ()) -> bool:
    found = _WORD.findall(text.casefold())
    return all(word in _TECHNICAL or word in words for word in found) and not _NO_NUMBER.search(text)


def columns_in_words(names: Iterable[str], wanted: Iterable[str]) -> str:
    """Columns of a table in words: those that are called like the wanted ones by name, the others by their number.

    What is taken for a header line may be the first row of a table that has none, or of another file: a name is shown
    if all its words are such as columns have.

    Examples
    --------
    >>> columns_in_words(["Sample time", "Jane Doe", "1970-01-01"], ["time"])
    "'Sample time' and 2 other columns"
    """
    given = list(names)
    sought = {word for name in wanted for word in _words(name)}
    known = _COLUMN | {word for name in wanted for word in _WORD.findall(name.casefold())}
    alike = [name for name in given if sought & _words(name) and _is_technical(name, known)][:8]
    others = len(given) - len(alike)
    rest = counted(others, "other column" if alike else "column")
    listed = ", ".join(map(shortened, alike))
    return " and ".join(filter(None, (listed, rest if others or not alike else "")))


def _words(name: str) -> set[str]:
    """Words of a name that tell something."""
    return {word for word in _WORD.findall(name.casefold()) if len(word) > 2} or {name.casefold().strip()}
