"""Every method on every scan; records are kept, so that an interrupted evaluation resumes."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from dlif_core.curve import InputFunction
from dlif_core.errors import DlifError, InputError, OutOfScopeError
from dlif_core.evaluation.candidates import Candidate
from dlif_core.evaluation.conditions import FITTED, Condition, EvaluationCase, make_case
from dlif_core.evaluation.metrics import (
    band_metrics,
    curve_errors,
    fit_errors,
    fit_organs,
    interval_metrics,
    ki_interval_metrics,
)
from dlif_core.finite import nulled, to_json
from dlif_core.networks.training.scan_work import Mapper, in_turn
from dlif_core.scan import DynamicScan

Record = dict[str, Any]

#: Outcome of a method on a scan.
MADE, REFUSED, FAILED = "made", "refused", "failed"
#: Verdict on a scan that the method refused as out of its scope.
OUT_OF_SCOPE = "out of scope"

_RECORDS = "records"


def evaluate(
    methods: Sequence[Candidate],
    scans: Sequence[Condition],
    folder: Path,
    progress: Callable[[str], object] = lambda _: None,
    mapper: Mapper = in_turn,
) -> pd.DataFrame:
    """Evaluate methods on simulated scans.

    Parameters
    ----------
    methods
        Methods from `candidates.candidates`.
    scans
        Conditions from `conditions.conditions`.
    folder
        Folder in which records are kept.
    progress
        Called with the condition's title after each scan.
    mapper
        Runs the work on each scan.

    Returns
    -------
    One row for each condition, scan and method, see `measure`.

    Raises
    ------
    ConfigurationError
        If one of the animals was used for the training or calibration of a model.
    """
    require_unseen(methods, scans)
    shown = [(condition, seed) for condition in scans for seed in condition.seeds]
    found = mapper(partial(_numbered, methods, shown, folder), len(shown))
    rows: list[Record] = []
    for (condition, _), records in zip(shown, found, strict=True):
        rows += records
        progress(condition.title)
    return pd.DataFrame(rows)


def _numbered(
    methods: Sequence[Candidate], shown: Sequence[tuple[Condition, int]], folder: Path, number: int
) -> list[Record]:
    return evaluate_scan(methods, *shown[number], folder)


def require_unseen(methods: Sequence[Candidate], scans: Sequence[Condition]) -> None:
    """Refuse to evaluate a model on animals that were used for its training or calibration.

    Raises
    ------
    ConfigurationError
        If one of the animals was used.
    """
    animals = {animal: None for condition in scans for animal in condition.animals}
    for method in methods:
        if method.splits is not None:
            method.splits.require_apart("evaluation", animals)


def evaluate_scan(methods: Sequence[Candidate], condition: Condition, seed: int, folder: Path) -> list[Record]:
    """Records of all methods that take part in a condition, for one of its scans; only missing ones are made.

    Scans with faults are given only to methods that check the scope.
    """
    taking_part = [method for method in methods if method.judges or not condition.fault]
    kept = {method.name: _read(_path(folder, condition, seed, method), method) for method in taking_part}
    if any(record is None for record in kept.values()):
        case = make_case(condition, seed)
        reference = fit_organs(case.scan, case.truth) if condition.name in FITTED else {}
        for method in taking_part:
            if kept[method.name] is None:
                kept[method.name] = measure(case, method, reference)
                _write(_path(folder, condition, seed, method), method, kept[method.name])
    return [record for record in kept.values() if record is not None]


def measure(case: EvaluationCase, method: Candidate, reference: dict[str, float]) -> Record:
    """Record of one method on one scan.

    Parameters
    ----------
    case
        The scan and its truth.
    method
        The method to be evaluated.
    reference
        `metrics.fit_organs` with the true input function; empty to leave parameters out.

    Returns
    -------
    ``condition``, ``seed``, ``method`` and the traits of the scan; ``outcome`` (``made``, ``refused`` or ``failed``)
    and ``reason``; ``seconds`` of processor time; ``verdict`` and ``score`` of a method that checks the scope;
    the metrics of `dlif_core.evaluation.metrics`, where a curve was made; ``fit_reason`` where no fit with it was
    possible.
    """
    known = {"condition": case.condition.name, "seed": case.seed, "method": method.name, **case.traits}
    begin = time.process_time()
    try:
        curve = method.function(case.scan, case.blood)
    except OutOfScopeError as refusal:
        return {**known, "outcome": REFUSED, "reason": str(refusal), "verdict": OUT_OF_SCOPE}
    except InputError as refusal:
        return {**known, "outcome": REFUSED, "reason": str(refusal)}
    except Exception as fault:  # a method's fault is a result; it must not end the comparison
        return {**known, "outcome": FAILED, "reason": f"{type(fault).__name__}: {fault}"}
    seconds = time.process_time() - begin
    return {**known, "outcome": MADE, "reason": "", "seconds": seconds, **_metrics(case, curve, reference)}


def _metrics(case: EvaluationCase, curve: InputFunction, reference: dict[str, float]) -> Record:
    scan, truth = case.scan, case.truth
    suv = 1000.0 * float(case.traits["body_weight"]) / _dose(case)
    verdict, intervals = curve.provenance.get("scope") or {}, curve.provenance.get("intervals") or {}
    return {
        **curve_errors(curve, truth, scan.timing, suv),
        **band_metrics(curve, truth, scan.timing, suv),
        **interval_metrics(intervals, truth, scan.timing, suv),
        **(_fit_metrics(scan, curve, reference, intervals) if reference else {}),
        **({"verdict": verdict["state"], "score": verdict["score"]} if verdict else {}),
    }


def _fit_metrics(
    scan: DynamicScan, curve: InputFunction, reference: dict[str, float], intervals: Mapping[str, Any]
) -> Record:
    """Errors of fitted parameters; a curve that can't serve as an input function has none, but a reason."""
    try:
        found = fit_organs(scan, curve)
    except DlifError as refusal:
        return {"fit_reason": str(refusal)}
    return fit_errors(found, reference) | ki_interval_metrics(intervals, found, reference)


def _dose(case: EvaluationCase) -> float:
    dose = case.scan.acquisition.injected_activity
    assert dose is not None, "simulated scans state their dose"
    return dose


def _path(folder: Path, condition: Condition, seed: int, method: Candidate) -> Path:
    return folder / _RECORDS / method.name / f"{condition.name}-{seed:04d}.json"


def _read(path: Path, method: Candidate) -> Record | None:
    """The record if it exists and is of the same method, weights and code."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    record: Record = {name: math.nan if value is None else value for name, value in kept["record"].items()}
    return record if kept["digest"] == method.digest else None


def _write(path: Path, method: Candidate, record: Record | None) -> None:
    """Write a record, with null for what is not known; the file appears only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(to_json({"digest": method.digest, "record": nulled(record)}, where=partial), encoding="utf-8")
    os.replace(partial, path)


def total_scans(scans: Sequence[Condition]) -> int:
    """Number of scans in all conditions."""
    return sum(len(condition.seeds) for condition in scans)


def unmade(table: pd.DataFrame) -> pd.DataFrame:
    """Curves that were not made on sound scans, and curves that can't serve as input functions of a fit.

    Returns
    -------
    Columns condition, method, what, scans (how many) and reason (of the first).
    """
    sound = table[table["fault"] == ""].reindex(columns=["condition", "method", "outcome", "reason", "fit_reason"])
    curves = sound[sound["outcome"] != MADE].rename(columns={"outcome": "what"})
    fits = sound[sound["fit_reason"].notna()].assign(what="not fitted", reason=sound["fit_reason"])
    both = pd.concat([curves, fits])
    groups = both.groupby(["condition", "method", "what"], sort=False)["reason"]
    return groups.agg(scans="size", reason="first").reset_index()
