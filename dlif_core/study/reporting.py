"""What a report shows, gathered from the committed products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import Finding
from dlif_core.report import CohortReport, ScanReport, cohort_report, scan_report
from dlif_core.scan import DynamicScan, ImageArray
from dlif_core.store import Marker, Store
from dlif_core.study.cohort import Cohort
from dlif_core.study.config import StudyConfig
from dlif_core.study.input_functions import read_input_function
from dlif_core.study.job import ScanJob
from dlif_core.study.products import explanation_name, source_name
from dlif_core.study.source import read_scan

if TYPE_CHECKING:
    import xarray as xr

# Slabs of the mean image are summed in pieces of this many planes, so that memory stays bounded.
_PLANES = 16


@dataclass(frozen=True)
class ReportedProduct:
    """A product that a scan's report shows.

    Attributes
    ----------
    stage, variant
        Stage that makes it, and input-function method or kinetic analysis.
    title
        What the report calls it.
    product
        Name of the product in the store.
    """

    stage: str
    variant: str
    title: str
    product: str


@dataclass(frozen=True)
class _Committed:
    """What a report's step finds of the products that it shows; results of older settings count as missing."""

    markers: Mapping[ReportedProduct, Marker | None]

    @property
    def done(self) -> list[ReportedProduct]:
        """Products with a result."""
        return [shown for shown, marker in self.markers.items() if marker and marker.status == "success"]

    def of(self, stage: str) -> dict[str, str]:
        """Products of a stage with a result, by variant."""
        return {shown.variant: shown.product for shown in self.done if shown.stage == stage}

    def unavailable(self) -> dict[str, str]:
        """Title of every product without a result, and why there is none."""
        return {
            shown.title: marker.reason if marker else "an input that it needs is unavailable"
            for shown, marker in self.markers.items()
            if shown not in self.done
        }

    def warnings(self) -> Iterator[tuple[str, str]]:
        """Title of a product and what a reader of it must know, beside what checks found."""
        for shown, marker in self.markers.items():
            found = {record["message"] for record in marker.findings} if marker else set()
            for warning in marker.warnings if marker else ():
                if warning not in found:
                    yield shown.title, warning


def scan_html(job: ScanJob, products: Sequence[ReportedProduct]) -> str:
    """A scan's HTML report; results of older settings stay out.

    Parameters
    ----------
    job
        The report's step; its fingerprint says which results are up to date.
    products
        What the report shows, in order.
    """
    committed = _Committed({shown: _current_marker(job, shown.product) for shown in products})
    return scan_report(_scan_report(job, committed))


def _scan_report(job: ScanJob, committed: _Committed) -> ScanReport:
    store, name = job.store, job.step.scan
    scan, _ = read_scan(store, name)
    source = store.marker(source_name(name))
    return ScanReport(
        scan_id=name,
        acquisition=scan.acquisition,
        timing=scan.timing,
        regions=scan.regions,
        input_functions={m: read_input_function(store, name, m) for m in committed.of("input-function")},
        unavailable=committed.unavailable(),
        region_fits=_datasets(store, committed.of("regions")),
        maps=_datasets(store, committed.of("maps")),
        selection=_selection(job, committed, "regions"),
        selection_maps=_selection(job, committed, "maps"),
        mean_image=mean_image(scan),
        labels=scan.labels,
        voxel_size=tuple(scan.voxel_size) if scan.affine is not None else None,
        findings=_findings(source, *committed.markers.values()),
        warnings=tuple(committed.warnings()),
        provenance=_provenance(job.config, source, committed),
        explanation=_explanation(job),
    )


def _findings(*markers: Marker | None) -> tuple[Finding, ...]:
    return tuple(Finding.from_record(record) for marker in markers if marker for record in marker.findings)


def _current_marker(job: ScanJob, product: str) -> Marker | None:
    """Marker of a product that the step's own fingerprint names."""
    marker = job.store.marker(product)
    return marker if marker and marker.fingerprint in job.step.fingerprint.parts.values() else None


def _explanation(job: ScanJob) -> xr.Dataset | None:
    """Where the learned input function came from; None where there is none."""
    product = explanation_name(job.step.scan)
    marker = _current_marker(job, product)
    return job.store.open_dataset(product) if marker and marker.status == "success" else None


def _selection(job: ScanJob, committed: _Committed, kind: str) -> xr.Dataset | None:
    """The comparison of models by region or by voxel; None where there is none."""
    compared = job.config.select.of if job.config.select else ()
    found = committed.of("selection")
    if not found or not committed.of(kind).keys() >= set(compared):
        return None
    return job.store.open_dataset(found[""], group=kind)


def _datasets(store: Store, products: Mapping[str, str]) -> dict[str, Any]:
    return {variant: store.open_dataset(product) for variant, product in products.items()}


def mean_image(scan: DynamicScan) -> NDArray[np.float32] | None:
    """Mean over time of the image, weighted by frame duration, shape (z, y, x) [Bq/mL]."""
    if scan.activity is None:
        return None
    weights = (scan.timing.duration / scan.timing.duration.sum()).astype(np.float32)
    planes = range(0, scan.activity.shape[1], _PLANES)
    return np.concatenate([np.tensordot(weights, _slab(scan.activity, first), axes=1) for first in planes])


def _slab(activity: ImageArray, first: int) -> NDArray[np.float32]:
    return np.asarray(activity[:, first : first + _PLANES], dtype=np.float32)


def _settings(config: StudyConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude={"data", "output", "cluster"})


def _provenance(config: StudyConfig, source: Marker | None, committed: _Committed) -> dict[str, Any]:
    from importlib.metadata import version

    markers = {"scan": source, **{shown.title: committed.markers[shown] for shown in committed.done}}
    return {
        "study": config.name,
        "dlif": version("dlif"),
        "settings": _settings(config),
        "fingerprints": {title: marker.fingerprint for title, marker in markers.items() if marker},
        "inputs": dict(source.parts) if source else {},
    }


# Parameters whose comparison of sessions the report shows; the tables hold all.
_COMPARED = ("Ki", "Ki_ref", "VT")


def cohort_html(config: StudyConfig, cohort: Cohort) -> str:
    """The cohort's HTML report."""
    shown = tuple(compared.comparison for compared in cohort.comparisons if compared.parameter in _COMPARED)
    return cohort_report(
        CohortReport(
            title=config.name,
            scans=cohort.index,
            findings=cohort.findings,
            tables=cohort.fits,
            input_functions=cohort.input_functions,
            acquisitions=cohort.acquisitions,
            comparisons=shown,
            truth=cohort.truth,
            provenance={"settings": _settings(config)},
            primary_regions=tuple(config.regions.groups),
        )
    )
