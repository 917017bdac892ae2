"""Figures of a cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlif_core.curve import InputFunction
from dlif_core.report.blood import early_end, show_logarithmic
from dlif_core.report.figure import GREY, INK, colours, draw, legend_above, logarithmic
from dlif_core.report.numbers import ActivityScale, unit_text
from dlif_core.statistics.tables import usable

Curves = Mapping[str, Mapping[str, InputFunction]]

#: Regions of which a figure has a column each.
MOST_COLUMNS = 24

#: Width that the sessions of one region take of the space of a region.
_SPREAD = 0.56


def parameter_figure(table: xr.Dataset, parameter: str, regions: Sequence[str]) -> Markup:
    """A parameter in every scan: a column per region, a colour per session, lines joining the scans of a subject."""
    values = usable(table, parameter)
    sessions = list(dict.fromkeys(table["session"].to_numpy().tolist()))
    unit = unit_text(table[parameter].attrs["units"])

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for place, region in enumerate(regions):
            _strip(axes, place, values.sel(region=region), sessions)
        axes.set_xticks(
            range(len(regions)),
            regions,
            rotation=25 if len(regions) > 6 else 0,
            ha="right" if len(regions) > 6 else "center",
        )
        axes.set_xlim(-0.6, len(regions) - 0.4)
        axes.grid(visible=False, axis="x")
        axes.set_ylabel(f"{parameter} [{unit}]" if unit else parameter)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        if len(sessions) > 1:
            legend_above(figure, axes)

    return draw(11.6, 3.6, paint, f"{parameter} of each region in every scan")


def parameter_caption(table: xr.Dataset, parameter: str, regions: int) -> str:
    """What `parameter_figure` shows of so many regions, in words."""
    parts = [f"{parameter} in every scan; bars are means"]
    if len(set(table["session"].to_numpy().tolist())) > 1:
        parts.append("grey lines join the scans of a subject")
    left_out = f" Shown: {MOST_COLUMNS} of {regions} regions; the table has all." if regions > MOST_COLUMNS else ""
    return f"{', '.join(parts)}.{left_out}"


def _strip(axes: Axes, place: int, values: xr.DataArray, sessions: list[str]) -> None:
    offset = dict(zip(sessions, _offsets(len(sessions)), strict=True))
    for subject in dict.fromkeys(values["subject"].to_numpy().tolist()):
        own = values.isel(scan=np.flatnonzero(values["subject"].to_numpy() == subject))
        where = [place + offset[session] for session in own["session"].to_numpy().tolist()]
        axes.plot(where, own.to_numpy(), color=GREY, linewidth=0.6, alpha=0.7, zorder=1)
    for session, colour in colours(sessions).items():
        points = values.isel(scan=np.flatnonzero(values["session"].to_numpy() == session)).to_numpy()
        middle = place + offset[session]
        label = session if place == 0 else None
        axes.plot(np.full(len(points), middle), points, "o", color=colour, markersize=3.4, alpha=0.85, label=label)
        if np.isfinite(points).any():
            axes.hlines(np.nanmean(points), middle - 0.11, middle + 0.11, color=colour, linewidth=2.0)


def _offsets(count: int) -> list[float]:
    return [0.0] if count == 1 else np.linspace(-_SPREAD / 2, _SPREAD / 2, count).tolist()


def curves_figure(curves: Curves, scales: Mapping[str, ActivityScale], sessions: Mapping[str, str]) -> Markup:
    """Whole blood of all scans, one row per method: the peak, and the whole scan on a logarithmic scale.

    Scans that can't be shown in SUV are left out where others can.
    """
    unit = common_unit(curves, scales)
    shown = {scan: methods for scan, methods in curves.items() if methods and scales[scan].unit == unit}
    methods = list(dict.fromkeys(method for scan in shown for method in shown[scan]))

    def paint(figure: Figure) -> None:
        grid = figure.subplots(len(methods), 2, squeeze=False, width_ratios=(1, 1.35))
        for (early, whole), method in zip(grid, methods, strict=True):
            _method_row(early, whole, {s: m[method] for s, m in shown.items() if method in m}, scales, sessions)
            early.set_title(f"{method}: peak")
            whole.set_title(f"{method}: whole scan (logarithmic)")
            early.set_ylabel(f"Whole blood [{unit}]")
        for axes in grid[-1]:
            axes.set_xlabel("Time from injection [min]")
        if len(set(sessions.values())) > 1:
            legend_above(figure, grid[0, 0])

    return draw(11.6, 2.7 * len(methods) + 0.4, paint, "Input functions of all scans")


def common_unit(curves: Curves, scales: Mapping[str, ActivityScale]) -> str:
    """SUV if any scan with a curve can be shown in it."""
    units = {scales[scan].unit for scan, methods in curves.items() if methods}
    return "SUV" if "SUV" in units else "kBq/mL"


def _method_row(
    early: Axes,
    whole: Axes,
    curves: Mapping[str, InputFunction],
    scales: Mapping[str, ActivityScale],
    sessions: Mapping[str, str],
) -> None:
    palette = colours(dict.fromkeys(sessions.values()))
    named: set[str] = set()
    top = 0.0
    for scan, curve in curves.items():
        session, values = sessions[scan], scales[scan].factor * curve.whole_blood
        label = None if session in named else session
        named.add(session)
        top = max(top, float(values.max()))
        for axes in (early, whole):
            axes.plot(curve.time / 60, values, color=palette[session], linewidth=0.9, alpha=0.7, label=label)
    early.set_xlim(0.0, early_end(curves))
    whole.set_xlim(0.0, max(float(curve.time[-1]) for curve in curves.values()) / 60)
    show_logarithmic(whole, top)


def truth_figure(truth: pd.DataFrame, unit: str) -> Markup:
    """Estimated against true values with the line of identity; one colour per region.

    Parameters
    ----------
    truth
        Columns region, truth, estimate.
    unit
        Unit of both values.
    """
    positive = truth[(truth["truth"] > 0) & (truth["estimate"] > 0)]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for position, (region, colour) in enumerate(colours(dict.fromkeys(positive["region"])).items()):
            own = positive[positive["region"] == region]
            axes.plot(
                own["truth"],
                own["estimate"],
                "osD^v"[position // 7 % 5],
                color=colour,
                markersize=4,
                alpha=0.8,
                label=region,
            )
        ends = [float(positive[["truth", "estimate"]].min().min()), float(positive[["truth", "estimate"]].max().max())]
        axes.plot(ends, ends, color=INK, linewidth=0.8, zorder=1)
        logarithmic(axes, "x")
        logarithmic(axes, "y")
        axes.set_xlabel(f"True value [{unit}]")
        axes.set_ylabel(f"Estimated value [{unit}]")
        figure.legend(loc="outside right upper")

    return draw(6.4, 4.2, paint, "Estimated against true values")
