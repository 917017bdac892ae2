"""What the markers of a scan's products say: results, verdicts and findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from dlif_core.checks import Finding, Level
from dlif_core.input_function.learned import OUT_OF_SCOPE
from dlif_core.store import Marker, Store

#: Products of a scan's group by their names below it.
Markers = Mapping[str, Marker]

SOURCE = "source"
_INPUT_FUNCTIONS = "input_functions/"
_LEARNED = f"{_INPUT_FUNCTIONS}learned"
_KINETICS = "kinetics/"
#: Part of a fingerprint that holds the digest of the model.
_MODEL = "learned, model"


def product_columns(store: Store, markers: Markers) -> dict[str, Any]:
    """Columns on findings, input functions and analyses of a scan."""
    done = [name for name, marker in markers.items() if marker.status == "success"]
    return {
        **_findings(markers.values()),
        "input_functions": _named(done, _INPUT_FUNCTIONS, ""),
        **_learned(store, markers.get(_LEARNED)),
        "analyses": _named(done, _KINETICS, "/regions"),
        "maps": _named(done, _KINETICS, "/maps"),
        "products": [_record(name, marker) for name, marker in markers.items() if name != SOURCE],
    }


def _record(name: str, marker: Marker) -> dict[str, str]:
    return {"name": name, "status": marker.status, "reason": marker.reason, "fingerprint": marker.fingerprint}


def _named(names: Iterable[str], prefix: str, suffix: str) -> list[str]:
    """What stands between a prefix and a suffix in those names that have both."""
    return [
        name.removeprefix(prefix).removesuffix(suffix)
        for name in names
        if name.startswith(prefix) and name.endswith(suffix)
    ]


def _findings(markers: Iterable[Marker]) -> dict[str, Any]:
    """How many findings of each level there are, each counted once, and what they withhold."""
    records = (record for marker in markers for record in marker.findings)
    found = list(dict.fromkeys(Finding.from_record(record) for record in records))
    levels = Counter(finding.level for finding in found)
    withheld = {str(finding.part) for finding in found if finding.withholds}
    return {**{str(level): levels[level] for level in Level}, "withheld": sorted(withheld)}


def _learned(store: Store, marker: Marker | None) -> dict[str, Any]:
    """Model, verdict and band of the learned input function; nothing where the model gave no verdict."""
    if marker is None:
        return {}
    digest = {"learned_digest": marker.parts.get(_MODEL)}
    if marker.status == "success":
        return digest | _curve(store, marker)
    _, refusal, reasons = marker.reason.partition(OUT_OF_SCOPE)
    if not refusal:
        return {}
    name = marker.where.removeprefix("model ")
    told = reasons.removesuffix(marker.hint).strip()
    return digest | {"learned_model": name, "scope": "out of scope", "scope_reasons": [told], "band": False}


def _curve(store: Store, marker: Marker) -> dict[str, Any]:
    import json

    curve = store.open_dataset(marker.product)
    made = json.loads(curve.attrs["provenance"])
    return {
        "learned_model": made["model"]["name"],
        "scope": made["scope"]["state"],
        "scope_reasons": list(made["scope"]["reasons"]),
        "band": "lower" in curve,
    }
