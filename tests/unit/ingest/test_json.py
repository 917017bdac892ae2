"""JSON files: right content or a fault in words, whatever stands in them."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlif_core.errors import InputError
from dlif_core.ingest.tables import read_json, read_number
from tests.unit.ingest.outcomes import sound_or_told

SIDECAR = json.dumps({"Units": "Bq/mL", "FrameTimesStart": [0, 10.5], "Dose": {"value": 1e8, "n": None}}).encode()


def read(tmp_path: Path, content: str | bytes) -> dict[str, object]:
    path = tmp_path / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_json(str(path))


def fault(tmp_path: Path, content: str | bytes, word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        read(tmp_path, content)
    assert "a.json" in caught.value.where
    assert caught.value.hint


def test_an_object_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, SIDECAR) == json.loads(SIDECAR)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "empty"),
        ("[1]", "no object"),
        ('{"a": 1,}', "not valid JSON"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"a": ' + "[" * 101 + "]" * 101 + "}", "nested too deeply"),
        ('{"a": 1, "b": {"Units": "s", "Units": "min"}}', "a field stands twice, with different values .line 1."),
        ('{"' + "x" * 10**6 + '": 1, "' + "x" * 10**6 + '": 2}', "stands twice"),
        (b'{"a": "' + b"x" * 16 * 10**6 + b'"}', "larger than 16 MB"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: str | bytes, word: str) -> None:
    fault(tmp_path, content, word)


def test_a_field_may_say_the_same_twice(tmp_path: Path) -> None:
    assert read(tmp_path, '{"Units": "s", "a": [1], "Units": "s", "a": [1]}') == {"Units": "s", "a": [1]}


def test_numbers_out_of_range_are_no_numbers_but_stop_nothing(tmp_path: Path) -> None:
    fields = read(tmp_path, f'{{"Dose": {"9" * 5000}, "Low": -{"9" * 5000}, "Inf": Infinity, "Big": 1e999, "No": NaN}}')
    for name in ("Dose", "Low", "Inf", "Big"):
        with pytest.raises(InputError, match="is not a number"):
            read_number(fields, name, "a.json")
    assert read_number(fields, "No", "a.json") is None
    assert read(tmp_path, f'{{"a": {10**300}}}') == {"a": 10**300}


def test_text_can_be_stored(tmp_path: Path) -> None:
    fields = read(tmp_path, r'{"TracerName": "F\ud800\u0000DG", "a\ud800": ["x\ty\n"], "pair": "\ud83d\ude00"}')
    assert fields == {"TracerName": "F\ufffd\ufffdDG", "a\ufffd": ["x y "], "pair": "😀"}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(SIDECAR) - 1), put=st.binary(max_size=3), removed=st.integers(0, 5))
def test_changed_bytes_are_read_or_refused(tmp_path: Path, place: int, put: bytes, removed: int) -> None:
    changed = SIDECAR[:place] + put + SIDECAR[place + removed :]
    fields = sound_or_told(lambda: read(tmp_path, changed))
    if fields is not None:
        json.dumps(fields, ensure_ascii=False).encode()  # every text is UTF-8
        assert all(isinstance(name, str) for name in fields)


@settings(max_examples=50, deadline=None)
@given(st.one_of(st.floats(), st.integers(), st.text(), st.none(), st.booleans(), st.lists(st.integers())))
def test_any_value_is_a_finite_number_absent_or_refused(value: object) -> None:
    found = sound_or_told(lambda: read_number({"Dose": value}, "Dose", "a.json"))
    assert found is None or math.isfinite(found)
