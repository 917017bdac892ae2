"""What messages show of the content of files."""

import pytest

from dlif_core.shown import columns_in_words, shown


@pytest.mark.parametrize(
    "value",
    [
        *("70,5", "1_000", "0x10", "<0.5", "12 kBq/mL", "3.5e", "1.2.3", "1.234,5", "--", "#DIV/0!", "", "10:30"),
        *("unknown", "not measured", "below LOD", "about 70 kg", "approx. 3 min"),
        *(True, -1, float("inf"), None, [1, 2], [0, "n/a", 3.5], [], {}),
    ],
)
def test_numbers_and_technical_words_are_shown(value: object) -> None:
    assert shown(value) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        *("Jane", "Jane Doe", "JANE^DOE", "Müller", "mueller 70", "70 (weighed by Smith)", "Nguyễn", "王小明"),
        *("1970-01-31", "31.01.1970", "31.1.70", "01/31/1970", "20190307T100000", "2019-03-07T10:00:00"),
        *("123-45-6789", "0123456789", "K123456", "+49 30/1234567", "unknown, ask Smith"),
    ],
)
def test_what_may_be_of_a_person_is_not(value: str) -> None:
    assert shown(value) == f"text of {len(value)} characters"
    assert shown([1, value]) == "a list of 2 values"
    assert shown({value: 1}) == shown({"a": value}) == "an object"
    assert shown([[value]]) == "a list of 1 values"


def test_long_values_are_cut() -> None:
    assert len(shown("1," * 10_000)) < 50
    assert shown("x" * 10_000) == "text of 10000 characters"


def test_columns_are_named_where_they_are_like_those_sought() -> None:
    wanted = ["time", "whole_blood_radioactivity"]
    assert columns_in_words(["Time (min)", "blood"], wanted) == "'Time (min)', 'blood'"
    assert columns_in_words(["sub-01", "Jane Doe", "1970-01-31"], ["participant_id"]) == "3 columns"
    assert columns_in_words(["Jane", "sample time", "x"], wanted) == "'sample time' and 2 other columns"
    assert columns_in_words(["TIME", "x"], wanted) == "'TIME' and 1 other column"
    assert columns_in_words(["x"], wanted) == "1 column"
