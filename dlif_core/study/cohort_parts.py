"""Parts of a cohort: what is read of some scans on one worker, and put together from all parts on another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from dlif_core.curve import InputFunction
from dlif_core.errors import ProductDamagedError, ProductMissingError, StorageError
from dlif_core.finite import nulled
from dlif_core.scan import Acquisition
from dlif_core.statistics.tables import join_region_tables, region_table
from dlif_core.storage import is_transient
from dlif_core.store import Claims, Fingerprint, Staging, Store, open_store
from dlif_core.study.config import StudyConfig
from dlif_core.study.input_functions import read_input_function
from dlif_core.study.job import CohortJob
from dlif_core.study.products import claim_name, failure_name, fit_name, input_function_name, source_name
from dlif_core.study.source import read_acquisition
from dlif_core.study.truth import compare_with_truth

#: Scans of a part: few enough to fit any worker, many enough that few parts are put together.
SCANS = 100

_VALUES = ("time", "whole_blood", "plasma", "lower", "upper")

Curves = dict[str, dict[str, InputFunction]]


@dataclass(frozen=True, eq=False)
class PartOfCohort:
    """Some scans of a study, as a worker is told of them.

    Attributes
    ----------
    number
        Place among the parts.
    scans
        Columns scan_id, subject, session.
    sound
        Products of these scans that are up to date and hold a result.
    """

    number: int
    scans: pd.DataFrame
    sound: frozenset[str]


@dataclass(frozen=True, eq=False)
class Gathered:
    """What was read of scans.

    Attributes
    ----------
    acquisitions
        Scan → metadata, of scans that are not excluded.
    input_functions
        Scan → method → curve.
    fits
        Name of the analysis → dataset with dims (scan, region).
    truth
        Estimated and true values, from `compare_with_truth`.
    """

    acquisitions: dict[str, Acquisition]
    input_functions: Curves
    fits: dict[str, xr.Dataset]
    truth: pd.DataFrame | None


def parts_of(job: CohortJob) -> Iterator[PartOfCohort]:
    """The scans of a study in parts, in order."""
    scans = [(scan.state.scan, scan.subject, scan.session) for scan in job.scans]
    for number, first in enumerate(range(0, len(scans), SCANS)):
        table = pd.DataFrame(scans[first : first + SCANS], columns=["scan_id", "subject", "session"])
        names = {name for scan in table["scan_id"] for name in _products(job.config, scan)}
        yield PartOfCohort(number, table, job.sound & names)


def _products(config: StudyConfig, scan: str) -> Iterator[str]:
    """Everything of a scan that a cohort may read."""
    yield source_name(scan)
    yield from (input_function_name(scan, method) for method in config.input_functions)
    yield from (fit_name(scan, fit.title, kind) for fit in config.kinetics for kind in ("regions", "maps"))


def read_part(config: StudyConfig, staging: Staging, part: PartOfCohort) -> dict[str, str]:
    """Read what is sound of some scans and leave it with the staged product; runs on a worker.

    Returns
    -------
    Scan → what is damaged of it. Such a scan is left out, and its damaged products are deleted, so that a status tells
    it and the next run makes them again.
    """
    store = open_store(config.output)
    try:
        _read_part(config, store, staging, part)
    except Exception as fault:
        if isinstance(fault, StorageError) or is_transient(fault):
            raise
        damaged = _withdrawn(config, store, part)
        if not damaged:
            raise
        sound = part.sound.difference(*(_products(config, scan) for scan in damaged))
        _read_part(config, store, staging, replace(part, sound=sound))
        return damaged
    return {}


def _withdrawn(config: StudyConfig, store: Store, part: PartOfCohort) -> dict[str, str]:
    """Delete the damaged products of some scans, and record why; scan → what was damaged.

    One that another run works on is left alone.
    """
    found: dict[str, str] = {}
    claims = Claims(store.folder)
    for scan in part.scans["scan_id"]:
        for product in part.sound.intersection(_products(config, scan)):
            what = _damage(store, product)
            if what:
                found[scan] = f"{product} was damaged ({what.rstrip('.')}); the next run makes it again"
            if what and claims.owner(claim_name(scan)) is None and _damage(store, product):
                failed = store.stage(failure_name(product), shared=False)
                failed.publish(Fingerprint({}), status="failed", reason=found[scan])
                store.delete(product)
    return found


def _damage(store: Store, product: str) -> str:
    """What is wrong with a product; nothing if it was replaced meanwhile."""
    before = store.marker(product)
    try:
        store.verify(product)
    except (ProductDamagedError, ProductMissingError) as fault:
        return fault.message if store.marker(product) == before else ""
    return ""


def _read_part(config: StudyConfig, store: Store, staging: Staging, part: PartOfCohort) -> None:
    names = part.scans["scan_id"].tolist()
    acquisitions = {name: read_acquisition(store, name) for name in names if source_name(name) in part.sound}
    truth = compare_with_truth(config, store, names, part.sound)
    about = {
        "acquisitions": {name: asdict(acquisition) for name, acquisition in acquisitions.items()},
        "truth": [] if truth is None else nulled(truth.to_dict("records")),
    }
    curves = _in_one({name: _curves(config, store, name, part.sound) for name in acquisitions})
    fits = {f"fits/{title}": table for title, table in _fits(config, store, part)}
    found = {"curves": curves} if curves.sizes["curve"] else {}
    staging.write_part(part.number, {"": xr.Dataset(attrs=about), **found, **fits})


def _curves(config: StudyConfig, store: Store, scan: str, sound: frozenset[str]) -> dict[str, InputFunction]:
    methods = (method for method in config.input_functions if input_function_name(scan, method) in sound)
    return {method: read_input_function(store, scan, method) for method in methods}


def _fits(config: StudyConfig, store: Store, part: PartOfCohort) -> Iterator[tuple[str, xr.Dataset]]:
    for fit in config.kinetics:
        names = {scan: fit_name(scan, fit.title, "regions") for scan in part.scans["scan_id"]}
        found = {scan: store.open_dataset(name) for scan, name in names.items() if name in part.sound}
        if found:
            yield fit.title, region_table(found, part.scans)


def put_together(config: StudyConfig, staging: Staging) -> Gathered:
    """All parts of a cohort in one."""
    acquisitions: dict[str, Acquisition] = {}
    curves: Curves = {}
    truth: list[dict[str, Any]] = []
    fits: dict[str, list[xr.Dataset]] = {}
    for read in staging.parts():
        about = read("").attrs
        acquisitions |= {name: Acquisition(**fields) for name, fields in about["acquisitions"].items()}
        curves |= {name: {} for name in about["acquisitions"]}
        truth += about["truth"]
        for found in _read(read, "curves"):
            for scan, method, curve in _one_by_one(found):
                curves[scan][method] = curve
        for fit in config.kinetics:
            fits.setdefault(fit.title, []).extend(_read(read, f"fits/{fit.title}"))
    joined = {title: join_region_tables(tables) for title, tables in fits.items() if tables}
    return Gathered(acquisitions, curves, joined, pd.DataFrame(truth) if truth else None)


def _read(read: Callable[[str], xr.Dataset], group: str) -> list[xr.Dataset]:
    """The dataset of a group of a part; none where no scan of the part has it."""
    try:
        return [read(group).load()]
    except (FileNotFoundError, KeyError):
        return []


def _in_one(curves: Mapping[str, Mapping[str, InputFunction]]) -> xr.Dataset:
    """Curves one behind the other in one dataset; a band that a curve lacks is NaN."""
    listed = [(scan, method, curve) for scan, methods in curves.items() for method, curve in methods.items()]
    points = {name: ("point", _joined([getattr(curve, name) for *_, curve in listed], listed)) for name in _VALUES}
    about = {
        "scan": ("curve", np.array([scan for scan, *_ in listed], object)),
        "method": ("curve", np.array([method for _, method, _ in listed], object)),
        "points": ("curve", np.array([len(curve.time) for *_, curve in listed], np.int64)),
    }
    return xr.Dataset({**points, **about})


def _joined(values: Sequence[Any], listed: Sequence[tuple[str, str, InputFunction]]) -> Any:
    filled = (
        np.full(len(curve.time), np.nan) if value is None else value
        for value, (*_, curve) in zip(values, listed, strict=True)
    )
    return np.concatenate([np.zeros(0), *filled])


def _one_by_one(dataset: xr.Dataset) -> Iterable[tuple[str, str, InputFunction]]:
    values = {name: dataset[name].to_numpy() for name in _VALUES}
    ends = accumulate(dataset["points"].to_numpy().tolist(), initial=0)
    names = zip(dataset["scan"].to_numpy().tolist(), dataset["method"].to_numpy().tolist(), strict=True)
    for (scan, method), (first, end) in zip(names, pairwise(ends), strict=True):
        time, whole_blood, plasma, lower, upper = (values[name][first:end] for name in _VALUES)
        band = (None, None) if np.isnan(lower).all() else (lower, upper)
        yield str(scan), str(method), InputFunction(time, whole_blood, plasma, str(method), *band)
