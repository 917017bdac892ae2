"""Numbers in metadata fields: absent, readable, or refused."""

import math

import pytest

from dlif_core.errors import InputError
from dlif_core.ingest.tables import number, read_number


@pytest.mark.parametrize("value", [None, "", "  ", "n/a", "N/A", "NaN", "null", math.nan])
def test_a_field_without_value_is_absent(value: object) -> None:
    assert read_number({"Dose": value}, "Dose", "a.json") is None
    assert read_number({}, "Dose", "a.json") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (70, 70.0),
        (0, 0.0),
        (-2.5, -2.5),
        (" 70.5 ", 70.5),
        ("1e3", 1000.0),
        ("+.5", 0.5),
        ("7.", 7.0),
        ("-1.5E-2", -0.015),
    ],
)
def test_a_number_is_read(value: object, expected: float) -> None:
    assert read_number({"Dose": value}, "Dose", "a.json") == expected


@pytest.mark.parametrize(
    "value",
    [
        *("70,5", "70 kg", "1_000", "0x10", "inf", "-Infinity", "１２", "1 000", "1e999", "--1", "1.2.3", "#N/A", "−5"),
        *(True, [70], {"value": 70}, math.inf, 10**400),
    ],
)
def test_anything_else_is_refused_with_field_and_file(value: object) -> None:
    with pytest.raises(InputError, match="is not a number") as caught:
        read_number({"Dose": value}, "Dose", "a.json")
    assert caught.value.where == "a.json, field Dose"
    assert len(caught.value.message) < 100
    assert caught.value.hint
    assert number(value) is None


def test_a_decimal_comma_is_named() -> None:
    with pytest.raises(InputError, match="'70,5' is not a number") as caught:
        read_number({"weight": "70,5"}, "weight", "participants.tsv")
    assert "decimal point, not a comma" in caught.value.hint


def test_a_long_value_is_shown_shortened() -> None:
    for value in ("x" * 10**6, [0.0] * 10**6, int("9" * 4000)):
        with pytest.raises(InputError) as caught:
            read_number({"Dose": value}, "Dose", "a.json")
        assert len(str(caught.value)) < 250
