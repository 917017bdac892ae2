"""Table and maps of the best model of each region and voxel."""

from __future__ import annotations

import numpy as np
import xarray as xr

from dlif_core.report.numbers import ABSENT, Cell, Heading, ReportTable, number
from dlif_core.report.slices import Viewport, VolumeView, view


def selection_table(selection: xr.Dataset) -> ReportTable:
    """Criterion and Akaike weight of every model in every region, the best one named.

    Parameters
    ----------
    selection
        Result of `dlif_core.kinetics.selection.compare_regions`.
    """
    criterion, models = str(selection.attrs["criterion"]), [str(name) for name in selection["model"].to_numpy()]
    note = "Akaike weight: relative probability of this model among those compared"
    headings = (
        Heading("Region", numeric=False),
        Heading("Best model", numeric=False),
        *(Heading(f"{criterion.upper()} {name}", "weight", note) for name in models),
    )
    rows = []
    for region in range(selection.sizes["region"]):
        best, one = int(selection["best_model"][region]), selection.isel(region=region)
        values = zip(one[criterion].to_numpy(), one["akaike_weight"].to_numpy(), strict=True)
        cells = [Cell(number(float(value), 1), number(float(weight), 2)) for value, weight in values]
        rows.append((Cell(str(one["region"].item())), Cell(models[best] if best >= 0 else ABSENT), *cells))
    return ReportTable(headings, tuple(rows))


def selection_views(maps: xr.Dataset, viewport: Viewport) -> tuple[VolumeView, ...]:
    """The best model of every voxel, as a number, and its Akaike weight.

    Parameters
    ----------
    maps
        ``best_model``, an index with the models as its flags, and ``akaike_weight``; dimensions z, y, x.
    viewport
        Slices that are shown.
    """
    best = maps["best_model"]
    names = str(best.attrs["flag_meanings"]).split()[1:]
    title = "Best model: " + ", ".join(f"{index} {name}" for index, name in enumerate(names))
    index = np.where(best >= 0, best, np.nan)
    weight = maps["akaike_weight"]
    return (
        view(index, title, "1", viewport, colours="viridis"),
        view(weight.to_numpy(), str(weight.attrs["long_name"]), "1", viewport, colours="cividis"),
    )
