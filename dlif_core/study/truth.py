"""Estimated against true Ki, for a study of simulated scans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from dlif_core.phantom.place import has_truth
from dlif_core.statistics.tables import error_name
from dlif_core.store import Store
from dlif_core.study.config import Kinetics, StudyConfig
from dlif_core.study.products import fit_name

#: Organs that a study of the metabolic rate looks at.
ORGANS = ("brain", "myocardium", "tumour", "liver", "muscle")


def compare_with_truth(config: StudyConfig, store: Store, scans: Iterable[str], sound: Set[str]) -> pd.DataFrame | None:
    """Ki of organs of every scan of a simulated cohort, estimated and true.

    The estimate is the organ's mean of the map of Ki where there is one, else the fit of the organ's mean curve; the
    truth is the organ's mean of the true map at the image's resolution. A Patlak plot without correction for blood
    has the slope (1 − vB)·Ki, and is compared with that.

    Parameters
    ----------
    config, store
        The study and its store; the truth lies in the data set.
    scans
        Names of the scans.
    sound
        Products that are up to date and hold a result.

    Returns
    -------
    Columns scan_id, fit, region, parameter, unit, truth, estimate, standard_error; None if the data set holds no
    truth.
    """
    with store.blaming(sorted(sound)):
        rows = list(_rows(config, store, scans, sound))
    return pd.DataFrame(rows) if rows else None


def summarise_truth(comparison: pd.DataFrame) -> pd.DataFrame:
    """Median truth, estimate and error over scans, for every fit and organ.

    Returns
    -------
    Columns fit, region, truth, estimate [mL·cm⁻³·min⁻¹], error_percent, scans.
    """
    errors = comparison.assign(error_percent=100 * (comparison["estimate"] / comparison["truth"] - 1))
    groups = errors.groupby(["fit", "region"], sort=False)
    return groups.agg(
        truth=("truth", "median"),
        estimate=("estimate", "median"),
        error_percent=("error_percent", "median"),
        scans=("truth", "size"),
    ).reset_index()


def _rows(config: StudyConfig, store: Store, scans: Iterable[str], sound: Set[str]) -> Iterator[dict[str, object]]:
    for scan in scans:
        if not has_truth(config.data.uri, scan) or not any(_fit_names(scan, fit) & sound for fit in config.kinetics):
            continue
        from dlif_core.phantom import read_truth

        truth = read_truth(config.data.uri, scan)
        masks = {organ: truth.labels == label for label, organ in truth.label_names.items() if organ in ORGANS}
        for fit in config.kinetics:
            true_map = truth.maps["Ki"] * (1 - truth.maps["vB"] if _is_uncorrected_slope(fit) else 1)
            for organ, estimate, error in _estimates(store, sound, scan, fit, masks):
                yield {
                    "scan_id": scan,
                    "fit": fit.title,
                    "region": organ,
                    "parameter": "Ki",
                    "unit": "mL·cm⁻³·min⁻¹",
                    "truth": float(true_map[masks[organ]].mean()),
                    "estimate": estimate,
                    "standard_error": error,
                }


def _fit_names(scan: str, fit: Kinetics) -> set[str]:
    return {fit_name(scan, fit.title, kind) for kind in ("maps", "regions")}


def _is_uncorrected_slope(fit: Kinetics) -> bool:
    return fit.settings.model == "patlak" and not fit.settings.blood_volume


def _estimates(
    store: Store, sound: Set[str], scan: str, fit: Kinetics, masks: dict[str, NDArray[np.bool_]]
) -> Iterator[tuple[str, float, float]]:
    """Organ, Ki and its standard error; that of a mean over voxels is left out (NaN), their errors being correlated."""
    names = (fit_name(scan, fit.title, kind) for kind in ("maps", "regions"))
    found = next((name for name in names if name in sound), None)
    dataset = store.open_dataset(found) if found else xr.Dataset()
    if "Ki" not in dataset:
        return
    for organ, mask in masks.items():
        if "region" in dataset.dims:
            if organ in dataset["region"]:
                region = dataset.sel(region=organ)
                yield organ, float(region["Ki"]), float(region[error_name(region, "Ki")])
        elif mask.any():
            yield organ, float(np.nanmean(dataset["Ki"].to_numpy()[mask])), float("nan")
