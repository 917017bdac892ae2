"""Physical half-lives of the radionuclides that PET uses."""

from __future__ import annotations

import re

from dlif_core.errors import InputError

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
}

#: Published half-lives differ by less than 1 %; a wider gap means another nuclide or another unit of time.
HALF_LIFE_TOLERANCE = 0.02


def nuclide(text: str) -> str:
    """Name of a radionuclide in the spelling of `HALF_LIVES`; "" where the text names none.

    Examples
    --------
    >>> nuclide("11C"), nuclide("[11C]"), nuclide("C-11"), nuclide("")
    ('C11', 'C11', 'C11', '')
    """
    letters, digits = re.search(r"[A-Za-z]+", text), re.search(r"\d+", text)
    return f"{letters[0].capitalize()}{digits[0]}" if letters and digits else ""


def half_life(name: str) -> float:
    """Half-life of a radionuclide [s].

    Parameters
    ----------
    name
        Name in any usual spelling: ``C11``, ``11C``, ``C-11``, ``[11C]``.

    Raises
    ------
    InputError
        If the radionuclide is not listed.
    """
    found = HALF_LIVES.get(nuclide(str(name)))
    if found is None:
        raise InputError(
            f"{name!r} is not a radionuclide that dlif knows.",
            where="radionuclide",
            hint=f"Use one of {', '.join(HALF_LIVES)}, or give the half-life in seconds.",
        )
    return found
