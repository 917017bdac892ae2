"""Physical half-lives of the radionuclides that PET uses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dlif_core.errors import InputError
from dlif_core.shown import shortened

#: Physical half-lives [s] from the Evaluated Nuclear Structure Data File (ENSDF, nndc.bnl.gov).
HALF_LIVES = {
    "O15": 122.24,
    "N13": 597.9,
    "C11": 1221.84,
    "F18": 6586.2,
    "Ga68": 4062.6,
    "Cu64": 45721.0,
    "Zr89": 282276.0,
    "I124": 360806.0,
    "Rb82": 75.45,
    "O14": 70.62,
    "K38": 458.2,
    "Cu60": 1422.0,
    "Cu61": 12010.0,
    "Cu62": 580.3,
    "Sc43": 14008.0,
    "Sc44": 14292.0,
    "Mn51": 2772.0,
    "Mn52": 483062.0,
    "Mn52m": 1266.0,
    "Co55": 63108.0,
    "Ga66": 34164.0,
    "As72": 93600.0,
    "Br75": 5802.0,
    "Br76": 58320.0,
    "Y86": 53064.0,
    "Y90": 230580.0,
    "Tc94m": 3120.0,
    "Tb152": 63000.0,
    "Ti45": 11088.0,
    "Fe52": 29790.0,
    "Na22": 82105000.0,
    "Ge68": 23409000.0,
}

#: Published half-lives differ by less than 1 %; a wider gap means another nuclide or another unit of time.
HALF_LIFE_TOLERANCE = 0.02

_NAMES = {
    "carbon": "C",
    "nitrogen": "N",
    "oxygen": "O",
    "fluorine": "F",
    "fluor": "F",
    "sodium": "Na",
    "potassium": "K",
    "scandium": "Sc",
    "titanium": "Ti",
    "manganese": "Mn",
    "iron": "Fe",
    "cobalt": "Co",
    "copper": "Cu",
    "gallium": "Ga",
    "germanium": "Ge",
    "arsenic": "As",
    "bromine": "Br",
    "rubidium": "Rb",
    "yttrium": "Y",
    "zirconium": "Zr",
    "technetium": "Tc",
    "iodine": "I",
    "terbium": "Tb",
}

#: Words that messages show of the name of a nuclide.
NUCLIDE_WORDS = frozenset(
    {*_NAMES, *(symbol.casefold() for symbol in _NAMES.values()), "fdg", "fluoride", "kohlenstoff", "sauerstoff"}
)

#: Codes of DICOM (PS3.16, context group 4020), in SNOMED CT and in its older form.
_CODES = {
    "C105A1": "C11",
    "40565003": "C11",
    "C107A1": "N13",
    "21576001": "N13",
    "CB1038": "O15",
    "129504001": "O15",
    "C111A1": "F18",
    "77004003": "F18",
    "C127A2": "Cu64",
    "3932008": "Cu64",
    "C131A3": "Ga68",
    "35337001": "Ga68",
    "C159A2": "Rb82",
    "79197006": "Rb82",
    "C168A4": "Zr89",
    "63360001": "Zr89",
    "C114A5": "I124",
    "40937006": "I124",
}

_MASS_FIRST = re.compile(r"(?<!\d)(\d{1,3})[^A-Za-z0-9]*(m?)[^A-Za-z0-9]*([A-Za-z]+)")
_ELEMENT_FIRST = re.compile(r"([A-Za-z]+)[^A-Za-z0-9]*(\d{1,3})(m?)(?![A-Za-z0-9])")


def nuclide(text: str) -> str:
    """Name of a radionuclide in the spelling of `HALF_LIVES`; "" where the text names none.

    Understood are symbol or English name of the element with the mass number before or after it, also within the name
    of a tracer, and the codes of DICOM.

    Examples
    --------
    >>> nuclide("11C"), nuclide("[11C]"), nuclide("C-11"), nuclide("^18^Fluorine"), nuclide("18F-FDG"), nuclide("")
    ('C11', 'C11', 'C11', 'F18', 'F18', '')
    """
    code = _CODES.get(re.sub(r"\W", "", text.upper()))
    if code:
        return code
    found = list(_candidates(text))
    known = dict.fromkeys(name for name in found if name in HALF_LIVES)
    if known:
        return next(iter(known)) if len(known) == 1 else ""
    return found[0] if found else ""


def _candidates(text: str) -> Iterator[str]:
    """Everything in the text that may name a nuclide, the longest symbol of each place first."""
    places = [(mass, m, letters) for mass, m, letters in _MASS_FIRST.findall(text)]
    places += [(mass, "", m + letters) for mass, m, letters in _MASS_FIRST.findall(text) if m]
    places += [(mass, m, letters) for letters, mass, m in _ELEMENT_FIRST.findall(text)]
    for mass, m, letters in places:
        for symbol in _symbols(letters):
            yield f"{symbol}{mass}{m}"


def _symbols(letters: str) -> Iterator[str]:
    """Symbols that letters may begin with: a tracer's name may follow, as in 18FFDG."""
    if letters.lower() in _NAMES:
        yield _NAMES[letters.lower()]
    else:
        yield from dict.fromkeys((letters[:2].capitalize(), letters[:1].upper()))


def nuclides_of(seconds: float) -> tuple[str, ...]:
    """Names of the radionuclides that have a half-life [s].

    Examples
    --------
    >>> nuclides_of(6588.0), nuclides_of(109.8)
    (('F18',), ())
    """
    return tuple(name for name, known in HALF_LIVES.items() if abs(seconds / known - 1) <= HALF_LIFE_TOLERANCE)


def half_life(name: str) -> float:
    """Half-life of a radionuclide [s].

    Parameters
    ----------
    name
        Name in any usual spelling: ``C11``, ``11C``, ``C-11``, ``[11C]``, ``Carbon-11``.

    Raises
    ------
    InputError
        If the radionuclide is not listed.
    """
    found = HALF_LIVES.get(nuclide(str(name)))
    if found is None:
        raise InputError(
            f"{shortened(name)} is not a radionuclide that dlif knows.",
            where="radionuclide",
            hint=f"Use one of {', '.join(HALF_LIVES)}, or give the half-life in seconds.",
        )
    return found
