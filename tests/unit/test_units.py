"""Units: the spellings that files really have, against factors known by definition."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlif_core.errors import UnitError
from dlif_core.units import CANONICAL, Dimension, factor


@pytest.mark.parametrize(
    ("unit", "dimension", "expected"),
    [
        ("Bq/mL", "concentration", 1),
        ("BQML", "concentration", 1),
        ("Bq/ml", "concentration", 1),
        ("kBq/mL", "concentration", 1e3),
        ("kBq/cc", "concentration", 1e3),
        ("MBq/L", "concentration", 1e3),
        ("nCi/mL", "concentration", 37),
        ("uCi/cm3", "concentration", 37e3),
        (" k Bq / ml ", "concentration", 1e3),
        ("Bq", "activity", 1),
        ("MBq", "activity", 1e6),
        ("Mbq", "activity", 1e6),
        ("MBQ", "activity", 1e6),
        ("GBq", "activity", 1e9),
        ("mCi", "activity", 3.7e7),
        ("ms", "time", 1e-3),
        ("min", "time", 60),
        ("hours", "time", 3600),
        ("g", "mass", 1e-3),
        ("kg", "mass", 1),
        ("%", "fraction", 0.01),
        ("arbitrary", "fraction", 1),
        ("unitless", "fraction", 1),
    ],
)
def test_spellings(unit: str, dimension: Dimension, expected: float) -> None:
    assert factor(unit, dimension) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dimension", CANONICAL)
def test_the_canonical_unit_has_factor_one(dimension: Dimension) -> None:
    assert factor(CANONICAL[dimension], dimension) == 1


@pytest.mark.parametrize("dimension", CANONICAL)
@pytest.mark.parametrize("unit", [None, "", "  ", "furlong", "SUV", "counts/s"])
def test_missing_or_unknown_units_are_refused(unit: str | None, dimension: Dimension) -> None:
    with pytest.raises(UnitError) as caught:
        factor(unit, dimension, where="scan.json, field Units")
    assert caught.value.where == "scan.json, field Units"
    assert CANONICAL[dimension] in caught.value.hint


@pytest.mark.parametrize(
    ("unit", "dimension"), [("Bq", "concentration"), ("Bq/mL", "activity"), ("kg", "time"), ("s", "mass")]
)
def test_a_unit_of_another_dimension_is_refused(unit: str, dimension: Dimension) -> None:
    with pytest.raises(UnitError):
        factor(unit, dimension)


@settings(deadline=None)
@given(unit=st.text(max_size=12), dimension=st.sampled_from(sorted(CANONICAL)))
def test_any_text_is_converted_or_refused(unit: str, dimension: Dimension) -> None:
    with contextlib.suppress(UnitError):
        assert factor(unit, dimension) > 0


@settings(deadline=None)
@given(unit=st.sampled_from(["kBq/mL", "MBq/cc", "nCi/mL"]), seed=st.integers(0, 2**12))
def test_case_and_blanks_do_not_matter(unit: str, seed: int) -> None:
    letters = (letter.upper() if seed >> i & 1 else letter.lower() for i, letter in enumerate(unit))
    spelled = "".join(letter + " " * (seed >> i + 1 & 1) for i, letter in enumerate(letters))
    assert factor(spelled, "concentration") == factor(unit, "concentration")


@pytest.mark.parametrize("unit", [5, True, ["s"], b"s"])
def test_what_is_no_text_is_no_unit(unit: object) -> None:
    with pytest.raises(UnitError, match="is not a known unit of time"):
        factor(unit, "time")


def test_what_the_caller_typed_is_shown_and_what_a_file_holds_is_not() -> None:
    with pytest.raises(UnitError, match=r"^'kBq per liter' is not a known unit"):
        factor("kBq per liter", "concentration", typed=True)
    with pytest.raises(UnitError, match=r"^text of 8 characters is not"):
        factor("Jane Doe", "concentration")
