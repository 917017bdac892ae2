"""An explanation of a learned input function as files: pictures, volumes (NIfTI), tables and one JSON record.

::

    explanation.json                  metrics explained: values, completeness gaps, regions, time windows
    frames.tsv                        relevance of every frame, one row a frame
    frames.svg                        matrix of frames, where the explanation holds one
    weight-map.nii.gz                 signed weights of the voxels
    mean-activity.nii.gz              image that the networks saw, mean over time
    METRIC-relevance.nii.gz           relevance of every voxel for a metric
    METRIC-slices.png                 slices of weights and relevance over the image
    METRIC-course.svg                 relevance over time, hidden regions and windows

Volumes have voxels of 1 mm and an affine that puts them in place on the scan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import xarray as xr

from dlif_core.finite import nulled, to_json
from dlif_core.report.figure import save
from dlif_core.report.learned import paint_course, paint_matrix, paint_pictures, since_arrival

#: Name of the JSON record.
RECORD = "explanation.json"


def write_explanation(folder: Path, explanation: xr.Dataset, about: Mapping[str, Any]) -> dict[str, Any]:
    """Write an explanation into a folder, which is made if it does not exist.

    Parameters
    ----------
    folder
        Folder for the files that the module's text lists; files of the same names are replaced.
    explanation
        Made by `dlif_core.networks.explanation.attribution.explain_scan`.
    about
        What the record begins with, as plain values: for example the scan and the model.

    Returns
    -------
    The content of `RECORD`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = {**about, **explanation_record(explanation)}
    (folder / RECORD).write_text(to_json(nulled(record), where=folder / RECORD, indent=1), encoding="utf-8")
    frame_table(explanation).to_csv(folder / "frames.tsv", sep="\t", index=False, na_rep="n/a", float_format="%.6g")
    for name in ("weight_map", "mean_activity"):
        _write_volume(folder / f"{name.replace('_', '-')}.nii.gz", explanation, explanation[name])
    for index, name in enumerate(explanation["target"].to_numpy()):
        _write_target(folder, str(name).replace(":", "-"), explanation.isel(target=[index]))
    if "frame_matrix" in explanation:
        save(folder / "frames.svg", 6.0, 4.8, partial(paint_matrix, explanation=explanation))
    return record


def explanation_record(explanation: xr.Dataset) -> dict[str, Any]:
    """The numbers of an explanation that are no images, as plain values for JSON; None for what is not known."""
    names = [str(name) for name in explanation["target"].to_numpy()]
    return {
        "members": int(explanation.attrs["members"]),
        "metrics": {name: _metric(explanation.sel(target=name)) for name in names},
    }


def frame_table(explanation: xr.Dataset) -> pd.DataFrame:
    """Start and duration [s], curve [SUV], correction and relevance for each metric of every frame, one row a frame."""
    columns = {name: explanation[name].to_numpy() for name in ("frame_start", "frame_duration", "curve", "factor")}
    relevance = {
        f"relevance_{name}": explanation["relevance_frames"].sel(target=name).to_numpy()
        for name in explanation["target"].to_numpy()
    }
    return pd.DataFrame(columns | relevance)


def _metric(explanation: xr.Dataset) -> dict[str, Any]:
    one = since_arrival(explanation)
    edges = zip(one["window_start"].to_numpy(), one["window_end"].to_numpy(), strict=True)
    windows = [f"{start:g} to {end:g} s" for start, end in edges]
    record = {
        "title": str(one["title"].item()),
        "units": str(one["units"].item()),
        "value": float(one["value"]),
        "completeness gap": float(one["gap"]),
        "change with window hidden": _numbers(windows, -one["occlusion_window"].to_numpy()),
    }
    if "region" in one.dims:
        regions = one["region"].to_numpy()
        record["relevance of region"] = _numbers(regions, one["relevance_region"].to_numpy())
        record["change with region hidden"] = _numbers(regions, -one["occlusion_region"].to_numpy())
    return record


def _numbers(names: Iterable[Any], values: Iterable[float]) -> dict[str, float | None]:
    """Values by name with five significant digits; None where a value is not finite."""
    pairs = zip(names, values, strict=True)
    return {str(name): float(f"{value:.5g}") if np.isfinite(value) else None for name, value in pairs}


def _write_target(folder: Path, stem: str, one: xr.Dataset) -> None:
    """Pictures and relevance map of an explanation with one target."""
    save(folder / f"{stem}-slices.png", 11.6, 6.6, partial(paint_pictures, explanation=one))
    save(folder / f"{stem}-course.svg", 11.6, 3.4, partial(paint_course, explanation=one))
    _write_volume(folder / f"{stem}-relevance.nii.gz", one, one["relevance"].isel(target=0))


def _write_volume(path: Path, explanation: xr.Dataset, values: xr.DataArray) -> None:
    """Write a volume with dimensions (z, y, x) as NIfTI, whose axes are x, y, z."""
    volume = values.transpose("x", "y", "z").to_numpy().astype(np.float32)
    image = nib.Nifti1Image(volume, np.array(explanation.attrs["affine"]))
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
