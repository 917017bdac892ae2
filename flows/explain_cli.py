"""``dlif explain``: where in the image and when a learned input function came from."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from rich.table import Table

    from dlif_core.scan import DynamicScan
    from dlif_core.study.config import StudyConfig


def explain(
    study: Annotated[Path, typer.Argument(help="Study file.", metavar="STUDY.YAML")],
    scan: Annotated[str, typer.Argument(help="Scan, as `dlif status` names it.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Figure to explain: auc, early-auc, peak, tail, spread, time:MINUTE or ki:REGION. Repeatable."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name or folder of a model; the study's own if left out.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for pictures and numbers; explain-SCAN if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Explain the learned input function of a scan that was ingested: pictures, numbers and a short table."""
    from dlif_core.networks.bundle.model import load_model
    from dlif_core.networks.explanation.attribution import explain_scan
    from dlif_core.study.config import load_study

    config = load_study(study)
    seen = _scan(config, scan)
    learned = load_model(model or _model(config))
    explained = explain_scan(learned.networks, seen, target or ["auc"], matrix=True)
    folder = output or Path(f"explain-{scan}")
    record = {"scan": scan, "model": learned.name, "digest": learned.digest, **_record(explained)}
    _write(folder, explained, record)
    if as_json:
        typer.echo(json.dumps(record, indent=1))
        return
    from rich.console import Console

    Console().print(_table(explained))
    typer.echo(f"Pictures and numbers are in {folder}.")


def _scan(config: StudyConfig, scan: str) -> DynamicScan:
    from dlif_core.errors import MissingInputError
    from dlif_core.study.plan import open_study_store
    from dlif_core.study.products import source_name
    from dlif_core.study.source import read_scan

    store = open_study_store(config)
    marker = store.marker(source_name(scan))
    if marker is None or marker.status != "success":
        known = ", ".join(name.split("/")[1].removesuffix(".zarr") for name in sorted(store.products("scans/")))
        raise MissingInputError(
            f"the scan {scan!r} was not ingested.",
            where=str(config.output),
            hint=f"Run `dlif run` first; there are: {known or 'no scans'}.",
        )
    return read_scan(store, scan)[0]


def _model(config: StudyConfig) -> str | None:
    """Model that the study sets for its learned input function, or None."""
    options = config.input_functions.get("learned")
    return getattr(options, "model", None)


def _record(explained: xr.Dataset) -> dict[str, object]:
    """The numbers that are no images."""
    figures = {str(name): _figure(explained.sel(target=name)) for name in explained["target"].to_numpy()}
    return {"members": int(explained.attrs["members"]), "figures": figures}


def _figure(one: xr.Dataset) -> dict[str, object]:
    windows = [
        f"{start:g} to {end:g} s"
        for start, end in zip(one["window_start"].values, one["window_end"].values, strict=True)
    ]
    return {
        "title": str(one["title"].item()),
        "units": str(one["units"].item()),
        "value": float(one["value"]),
        "completeness gap": float(one["gap"]),
        "change with window hidden": _numbers(windows, -one["occlusion_window"].values),
        **_of_regions(one),
    }


def _of_regions(one: xr.Dataset) -> dict[str, object]:
    if "region" not in one.dims:
        return {}
    names = one["region"].values
    return {
        "relevance of region": _numbers(names, one["relevance_region"].values),
        "change with region hidden": _numbers(names, -one["occlusion_region"].values),
    }


def _numbers(names: object, values: object) -> dict[str, float | None]:
    import numpy as np

    pairs = zip(np.asarray(names), np.asarray(values, float), strict=True)
    return {str(name): float(f"{value:.5g}") if np.isfinite(value) else None for name, value in pairs}


def _write(folder: Path, explained: xr.Dataset, record: dict[str, object]) -> None:
    from dlif_core.report.figure import save
    from dlif_core.report.learned import paint_course, paint_matrix, paint_pictures

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "explanation.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    for index, name in enumerate(explained["target"].to_numpy()):
        one, stem = explained.isel(target=[index]), str(name).replace(":", "-")
        save(folder / f"{stem}-slices.png", 11.6, 6.6, partial(paint_pictures, explanation=one))
        save(folder / f"{stem}-course.svg", 11.6, 3.4, partial(paint_course, explanation=one))
        _write_volume(folder / f"{stem}-relevance.nii.gz", explained, one["relevance"].to_numpy()[0])
    save(folder / "frames.svg", 6.0, 4.8, partial(paint_matrix, explanation=explained))
    _write_volume(folder / "weight-map.nii.gz", explained, explained["weight_map"].to_numpy())
    _write_volume(folder / "mean-activity.nii.gz", explained, explained["mean_activity"].to_numpy())
    _frames(explained).to_csv(folder / "frames.tsv", sep="\t", index=False, float_format="%.6g")


def _frames(explained: xr.Dataset) -> pd.DataFrame:
    """Relevance of every frame, one row a frame."""
    import pandas as pd

    columns = {name: explained[name].to_numpy() for name in ("frame_start", "frame_duration", "curve", "factor")}
    relevance = {
        f"relevance_{name}": explained["relevance_frames"].sel(target=name).to_numpy()
        for name in explained["target"].to_numpy()
    }
    return pd.DataFrame(columns | relevance)


def _write_volume(path: Path, explained: xr.Dataset, values: object) -> None:
    import nibabel as nib
    import numpy as np

    image = nib.Nifti1Image(np.asarray(values, np.float32).transpose(2, 1, 0), np.array(explained.attrs["affine"]))
    nib.save(image, path)


def _table(explained: xr.Dataset) -> Table:
    from rich.table import Table
    from rich.text import Text

    from dlif_core.report.learned import explanation_table

    content = explanation_table(explained)
    table = Table()
    for heading in content.headings:
        title = f"{heading.text} [{heading.unit}]" if heading.unit else heading.text
        table.add_column(Text(title), justify="right" if heading.numeric else "left")
    for row in content.rows:
        table.add_row(*(Text(cell.text) for cell in row))
    return table
