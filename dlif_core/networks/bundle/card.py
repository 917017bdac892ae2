"""The model card, written from the manifest of a model and its evaluation; nothing in it is typed in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlif_core.networks.bundle.folder import Kind, Manifest
from dlif_core.networks.training.splits import SplitManifest

# name under which an evaluation lists a model of each kind
_METHODS: Mapping[Kind, str] = {"weight-map": "learned", "fc-dlif": "fc-dlif"}
_ABSENT = "–"

_INTENDED: Mapping[Kind, str] = {
    "weight-map": "Prediction of the arterial whole-blood curve of a {species} from its dynamic PET image, with a band "
    "and a verdict on whether blood can be read from the scan. It takes the place of arterial blood "
    "samples where none can be taken, in research only.",
    "fc-dlif": "Comparison: this is FC-DLIF (Salomonsen, Luppino et al., EJNMMI Res 2026;16:65) with the published "
    "layers and loss, trained anew on simulated scans. It states neither band nor scope, and is not for analyses.",
}
_LIMITS: Mapping[Kind, tuple[str, ...]] = {
    "weight-map": (
        "The curve is whole blood. Plasma follows by a formula for FDG in mice. Otherwise plasma is taken as equal to "
        "whole blood and metabolites are not taken off, unless they were measured; a warning says so.",
        "Bands and intervals hold on average over animals like those of the calibration set, not for a single animal.",
        "It needs the heart in its field of view; most scans without it are told. Another species is out of scope.",
        "Scans are taken to be decay-corrected, with injected activity and body weight known.",
    ),
    "fc-dlif": (
        "It takes scans of the 42 frames that it was trained on, and no others.",
        "It sees voxels of 1 mm, padded with zeros to 64×32×32; the publication used those of the scanner.",
        "Activation and pooling are not published; here they are ReLU and the maximum.",
    ),
}


def model_card(manifest: Manifest, splits: SplitManifest, evaluation: Mapping[str, Any] | None = None) -> str:
    """The card of a model as Markdown.

    Parameters
    ----------
    manifest
        Manifest of the model.
    splits
        Animals by their use.
    evaluation
        Summary of an evaluation (``about``, ``figures``, ``groups``, ``comparisons``: lists of records), or None.
    """
    parts = [
        [f"# Model card: {manifest.name}", "", "**For research use only.** Not a medical device."],
        ["## Intended use", "", _INTENDED[manifest.kind].format(species=manifest.species)],
        ["## Population", "", *_population(manifest, splits)],
        ["## Training", "", *_training(manifest)],
        *([["## Own blood", "", *_own_blood(manifest.training["site"])]] if "site" in manifest.training else []),
        ["## Metrics", "", *_metrics(manifest, evaluation)],
        ["## Groups of animals", "", *_groups(manifest, evaluation)],
        ["## Limits", "", *(f"- {limit}" for limit in [*_LIMITS[manifest.kind], *_trained_limits(manifest)])],
        ["## Identity", "", *_identity(manifest)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _population(manifest: Manifest, splits: SplitManifest) -> Iterator[str]:
    yield str(manifest.training["population"])
    yield ""
    rows = [[use, str(len(animals)), _named(runs)] for (use, animals), runs in
            zip(splits.splits.items(), splits.to_dict().values(), strict=True)]  # fmt: skip
    yield from _table(["used for", "animals", "which"], rows)
    yield ""
    yield "No animal has two uses; `splits.json` lists all animals, and loading checks this."


def _named(runs: Sequence[str]) -> str:
    shown = ", ".join(f"`{run}`" for run in runs[:3])
    return f"{shown} and {len(runs) - 3} more" if len(runs) > 3 else shown or _ABSENT


def _training(manifest: Manifest) -> Iterator[str]:
    facts = manifest.training
    yield f"Trained on: {facts['hardware']}, with dlif {manifest.version} and PyTorch {facts['torch']}."
    if "begun_from" in facts:
        begun = facts["begun_from"]
        yield f"Begun from the weights of {begun['name']} (`{begun['digest'][:12]}`)."
    yield ""
    rows = [
        [str(k), str(m["seed"]), str(m["parameters"]), str(m["updates"]), str(m["best_update"]), number(m["rmse"])]
        for k, m in enumerate(facts["members"], start=1)
    ]
    header = ["member", "seed", "parameters", "updates of the last run", "kept", "validation RMSE, median [SUV]"]
    yield from _table(header, rows)
    yield ""
    # models of earlier versions don't state it
    arithmetics = list(dict.fromkeys(member["arithmetic"] for member in facts["members"] if member.get("arithmetic")))
    if arithmetics:
        yield f"Convolutions were computed in {' or '.join(arithmetics)} during training, all else in float32."
        yield ""
    yield "`training.tsv` holds the log, `model.json` the recipe with all seeds."


def _own_blood(site: Mapping[str, Any]) -> Iterator[str]:
    """What the laboratory's own blood was used for."""
    yield " ".join(site["words"])
    yield ""
    rows = [
        [f"{first:g} to {last:g}", number(factor)]
        for (first, last), factor in zip(site["windows_s"], site["factors"], strict=True)
    ]
    yield from _table(["time after arrival of the bolus [s]", "factor"], rows)


def _trained_limits(manifest: Manifest) -> list[str]:
    return [str(limit) for limit in manifest.training.get("limits", ())]


def _metrics(manifest: Manifest, evaluation: Mapping[str, Any] | None) -> Iterator[str]:
    own = _own(manifest, evaluation, "figures")
    if not evaluation or not own:
        yield "Not evaluated yet: `dlif evaluate` writes the metrics here."
        return
    for condition in evaluation["about"]["conditions"]:
        rows = [
            [_with_unit(row), number(row["value"]), f"{number(row['low'])} to {number(row['high'])}", str(row["n"]),
             row["required"] or _ABSENT, {True: "yes", False: "**no**", None: _ABSENT}[row["reached"]]]
            for row in own if row["condition"] == condition["name"]
        ]  # fmt: skip
        if rows:
            first, end = condition["seeds"]
            where = f"population {condition['population']}, seeds {first} to {end - 1}"
            yield f"{condition['title'][0].upper()}{condition['title'][1:]} ({where}):"
            yield ""
            yield from _table(["metric", "value", "95 % interval", "scans", "required", "reached"], rows)
            yield ""
    yield from _scope_metrics(own)
    yield "Intervals are from the bootstrap over laboratories, which nothing else has used."


def _scope_metrics(own: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    rows = [
        [_with_unit(row), number(row["value"]), f"{number(row['low'])} to {number(row['high'])}", str(row["n"])]
        for row in own
        if row["condition"] == "faults"
    ]
    if rows:
        yield "Scope check on sound and faulty scans:"
        yield ""
        yield from _table(["metric", "value", "95 % interval", "scans"], rows)
        yield ""


def _groups(manifest: Manifest, evaluation: Mapping[str, Any] | None) -> Iterator[str]:
    own = _own(manifest, evaluation, "groups")
    if not own:
        yield "Not evaluated yet."
        return
    metrics = [name for name in own[0] if name not in ("method", "group", "scans")]
    rows = [[row["group"], str(row["scans"]), *(number(row[name]) for name in metrics)] for row in own]
    yield from _table(["group", "scans", *metrics], rows)


def _own(manifest: Manifest, evaluation: Mapping[str, Any] | None, part: str) -> list[Mapping[str, Any]]:
    """Rows of the evaluation for this model."""
    if evaluation is None:
        return []
    return [row for row in evaluation[part] if row["method"] == _METHODS[manifest.kind]]


def _identity(manifest: Manifest) -> Iterator[str]:
    yield f"- kind: {manifest.kind}"
    yield f"- digest of the networks (weights and settings, without this card): `{manifest.digest}`"
    yield "- to name this model in a study, use the digest of the whole, which `dlif model show` prints below the card"
    yield "- loading compares every file with its digest, and the preprocessing with that of the training"


def _with_unit(row: Mapping[str, Any]) -> str:
    return f"{row['title']} [{row['unit']}]" if row["unit"] not in ("", "share") else str(row["title"])


def number(value: float | None) -> str:
    """Write a number with three decimals, from 10 on with one; a dash if it is unknown."""
    if value is None or not math.isfinite(value):
        return _ABSENT
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for line in (header, ["---"] * len(header), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
