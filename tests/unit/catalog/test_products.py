"""What markers say of results, verdicts and findings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from dlif_core.catalog.products import product_columns
from dlif_core.checks import Finding, Level, Part
from dlif_core.errors import OutOfScopeError
from dlif_core.store import Marker, Store, create_store

LEARNED = "input_functions/learned"
DIGEST = {"learned, model": "d" * 64}


def marker(product: str, parts: Mapping[str, str] = MappingProxyType({}), **fields: Any) -> Marker:
    return Marker(product, "f" * 64, parts, "", "", 0.0, **fields)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(str(tmp_path))


def test_a_scan_out_of_scope_has_model_and_reasons(store: Store) -> None:
    """The refusal as the method raises it, and as a step commits it."""
    from dlif_core.input_function.learned import require_in_scope
    from dlif_core.networks.scope.verdict import Verdict

    class Model:
        name = "mouse"

    reasons = ("voxels are 2 mm along z.", "the tracer is unknown.")
    with pytest.raises(OutOfScopeError) as refusal:
        require_in_scope(Verdict("out of scope", reasons), Model())  # type: ignore[arg-type]
    fault = refusal.value
    refused = marker(
        LEARNED, parts=DIGEST, status="unavailable", reason=str(fault), where=str(fault.where), hint=fault.hint
    )
    found = product_columns(store, {LEARNED: refused})
    assert (found["learned_model"], found["learned_digest"]) == ("mouse", "d" * 64)
    assert (found["scope"], found["scope_reasons"]) == ("out of scope", [" ".join(reasons)])
    assert found["band"] is False
    assert found["input_functions"] == []


def test_a_scan_without_verdict_has_no_scope(store: Store) -> None:
    refused = marker(LEARNED, parts=DIGEST, status="unavailable", reason="there is no image.")
    assert "scope" not in product_columns(store, {LEARNED: refused})


def test_analyses_of_regions_and_maps_are_told_apart(store: Store) -> None:
    names = ("kinetics/patlak/regions", "kinetics/patlak/maps", "kinetics/1tcm/regions", "selection")
    markers = {name: marker(name) for name in names} | {
        "kinetics/logan/regions": marker("kinetics/logan/regions", status="unavailable", reason="no blood")
    }
    found = product_columns(store, markers)
    assert (found["analyses"], found["maps"]) == (["patlak", "1tcm"], ["patlak"])
    assert [one["name"] for one in found["products"]] == [*names, "kinetics/logan/regions"]
    assert found["products"][-1] == {
        "name": "kinetics/logan/regions",
        "status": "unavailable",
        "reason": "no blood",
        "fingerprint": "f" * 64,
    }


def test_a_finding_counts_once_and_withholds_its_part(store: Store) -> None:
    dose = Finding("dose", Level.DOUBTFUL, Part.DOSE, "much").as_record()
    accepted = Finding("weight", Level.DOUBTFUL, Part.WEIGHT, "much", accepted=True).as_record()
    blood = Finding("blood-file", Level.REFUSED, Part.BLOOD, "no").as_record()
    markers = {
        "source": marker("source", findings=(dose, accepted, blood)),
        "selection": marker("selection", findings=(dose,)),
    }
    found = product_columns(store, markers)
    assert (found["repaired"], found["assumed"], found["doubtful"], found["refused"]) == (0, 0, 2, 1)
    assert found["withheld"] == ["blood", "dose"]
    assert [one["name"] for one in found["products"]] == ["selection"]
