import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlif_core.store import Fingerprint

parts = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=5)


def test_the_digest_is_sha256_of_canonical_json() -> None:
    text = '{"input":"a","kinetics.blood_volume":"0.05 → ü"}'
    assert json.loads(text) == {"input": "a", "kinetics.blood_volume": "0.05 → ü"}
    found = Fingerprint({"kinetics.blood_volume": "0.05 → ü", "input": "a"}).digest
    assert found == hashlib.sha256(text.encode()).hexdigest()


@given(parts, parts)
def test_digests_are_equal_exactly_when_nothing_changed(one: dict[str, str], other: dict[str, str]) -> None:
    assert (Fingerprint(one).digest == Fingerprint(other).digest) == (one == other)
    assert (Fingerprint(one).changes(other) == ()) == (one == other)


@given(parts)
def test_the_order_of_parts_does_not_matter(one: dict[str, str]) -> None:
    assert Fingerprint(dict(reversed(one.items()))).digest == Fingerprint(one).digest


@pytest.mark.parametrize(
    ("committed", "line"),
    [
        ({"kinetics.blood_volume": "0.05"}, "kinetics.blood_volume: 0.05 → fitted"),
        ({}, "kinetics.blood_volume: new, fitted"),
        ({"kinetics.blood_volume": "fitted", "weights": "v1"}, "weights: no longer used, was v1"),
    ],
)
def test_changes_are_readable(committed: dict[str, str], line: str) -> None:
    assert Fingerprint({"kinetics.blood_volume": "fitted"}).changes(committed) == (line,)


def test_digests_in_changes_are_cut_short() -> None:
    old, new = hashlib.sha256(b"old").hexdigest(), hashlib.sha256(b"new").hexdigest()
    assert Fingerprint({"image": new}).changes({"image": old}) == (f"image: {old[:12]} → {new[:12]}",)
