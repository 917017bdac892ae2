"""What a report shows, gathered from the committed products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.report import CohortReport, ScanReport, cohort_report, scan_report
from dlif_core.scan import DynamicScan, ImageArray
from dlif_core.store import Marker, Staging, Store
from dlif_core.study.config import StudyConfig
from dlif_core.study.job import read_input_function
from dlif_core.study.plan import Step, explanation_name, fit_name, input_function_name, selection_name
from dlif_core.study.source import read_scan, source_name

if TYPE_CHECKING:
    import xarray as xr

    from dlif_core.study.cohort import Cohort

_SELECTION = "selection of models"
# Slabs of the mean image are summed in pieces of this many planes, so that memory stays bounded.
_PLANES = 16


def write_scan_report(config: StudyConfig, store: Store, step: Step, staging: Staging) -> None:
    """Write a scan's HTML report into its staging area; results of older settings stay out."""
    scan_id = step.scan
    scan, _ = read_scan(store, scan_id)
    products = _products(config, scan_id, with_maps=scan.activity is not None)
    markers = {title: _current_marker(store, name, step) for title, name in products.items()}
    done = {title: products[title] for title, marker in markers.items() if marker and marker.status == "success"}
    html = scan_report(
        ScanReport(
            scan_id=scan_id,
            acquisition=scan.acquisition,
            timing=scan.timing,
            regions=scan.regions,
            input_functions={
                method: read_input_function(store, scan_id, method)
                for method in config.input_functions
                if f"input function {method}" in done
            },
            unavailable={
                title: marker.reason if marker else "an input that it needs is unavailable"
                for title, marker in markers.items()
                if title not in done
            },
            region_fits=_datasets(store, done, "regions "),
            maps=_datasets(store, done, "maps "),
            selection=_selection(config, store, done, "regions"),
            selection_maps=_selection(config, store, done, "maps"),
            mean_image=mean_image(scan),
            labels=scan.labels,
            voxel_size=tuple(scan.voxel_size) if scan.affine is not None else None,
            warnings=tuple(
                (title, warning)
                for title, marker in {"scan": store.marker(source_name(scan_id)), **markers}.items()
                if marker
                for warning in marker.warnings
            ),
            provenance=_provenance(config, store, scan_id, done),
            explanation=_explanation(store, step),
        )
    )
    staging.write_text("report.html", html)


def _current_marker(store: Store, name: str, step: Step) -> Marker | None:
    """Marker of a product that the step's own fingerprint names."""
    marker = store.marker(name)
    return marker if marker and marker.fingerprint in step.fingerprint.parts.values() else None


def _products(config: StudyConfig, scan: str, *, with_maps: bool) -> dict[str, str]:
    """Title → product of everything that the scan's report shows."""
    products = {f"input function {method}": input_function_name(scan, method) for method in config.input_functions}
    for fit in config.kinetics:
        products[f"regions {fit.title}"] = fit_name(scan, fit.title, "regions")
        if fit.maps and with_maps and fit.kinetic_model.voxelwise:
            products[f"maps {fit.title}"] = fit_name(scan, fit.title, "maps")
    if config.select:
        products[_SELECTION] = selection_name(scan)
    return products


def _explanation(store: Store, step: Step) -> xr.Dataset | None:
    """Where the learned input function came from; None where there is none."""
    name = explanation_name(step.scan)
    marker = _current_marker(store, name, step)
    return store.open_dataset(name) if marker and marker.status == "success" else None


def _selection(config: StudyConfig, store: Store, products: dict[str, str], group: str) -> xr.Dataset | None:
    """The comparison of models by region or by voxel; None where there is none."""
    compared = config.select.of if config.select else ()
    if _SELECTION not in products or any(f"{group} {name}" not in products for name in compared):
        return None
    return store.open_dataset(products[_SELECTION], group=group)


def _datasets(store: Store, products: dict[str, str], kind: str) -> dict[str, Any]:
    return {
        title.removeprefix(kind): store.open_dataset(name) for title, name in products.items() if title.startswith(kind)
    }


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
    return config.model_dump(mode="json", exclude={"data", "output"})


def _provenance(config: StudyConfig, store: Store, scan: str, products: dict[str, str]) -> dict[str, Any]:
    from importlib.metadata import version

    markers = {"scan": store.marker(source_name(scan)), **{title: store.marker(n) for title, n in products.items()}}
    return {
        "study": config.name,
        "dlif": version("dlif"),
        "settings": _settings(config),
        "fingerprints": {title: marker.fingerprint for title, marker in markers.items() if marker},
        "inputs": dict(markers["scan"].parts) if markers["scan"] else {},
    }


# Parameters whose comparison of sessions the report shows; the tables hold all.
_COMPARED = ("Ki", "VT")


def cohort_html(config: StudyConfig, cohort: Cohort) -> str:
    """The cohort's HTML report."""
    shown = [comparison for comparison in cohort.comparisons.values() if comparison.title.startswith(_COMPARED)]
    return cohort_report(
        CohortReport(
            title=config.name,
            scans=cohort.index,
            tables=cohort.fits,
            input_functions=cohort.input_functions,
            acquisitions=cohort.acquisitions,
            comparisons=tuple(shown),
            truth=cohort.truth,
            provenance={"settings": _settings(config)},
            primary_regions=tuple(config.regions.groups),
        )
    )
