"""Section of a report on the learned input function: scope, explanation and effect on Ki."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, SymLogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import FitSettings, fit_regions
from dlif_core.report.figure import GREY, INK, PALETTE, draw
from dlif_core.report.numbers import ABSENT, Cell, Heading, ReportTable, decimals, number, significant
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves, is_fdg

Array = NDArray[np.float64]

#: Start of the linear phase for the table of Ki [min].
T_STAR = 10.0
_TONES = {"in scope": "good", "doubtful": "warn", "out of scope": "bad"}
_PLANES = (("axial", 0, "x", "y"), ("coronal", 1, "x", "z"), ("sagittal", 2, "y", "z"))
# overlays are shown above this part of their limit
_VISIBLE = 0.08
# the body shows more than this part of the 99th percentile of the mean image
_BODY = 0.05
# metrics with intervals, as a report names them
_METRICS = {"auc": "AUC [SUV·min]", "peak": "Peak [SUV]"}
# regions with a bar: those that change the curve most
_MOST_BARS = 9


@dataclass(frozen=True)
class LearnedSection:
    """Content of the section on the learned input function.

    Attributes
    ----------
    tone, verdict, reasons
        State of the scope check: its tone, name and reasons.
    facts
        (Name, value): model, calibration, intervals.
    pictures, course
        Figures of the explanation, or None where there is none.
    explained
        Metrics of the curve that were explained: value, completeness, most relevant region and window.
    ki
        Ki of every region with each input function, or None where Patlak's plot does not apply.
    """

    tone: str
    verdict: str
    reasons: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    pictures: Markup | None
    course: Markup | None
    explained: ReportTable | None
    ki: ReportTable | None


def learned_section(
    curve: InputFunction, explanation: xr.Dataset | None = None, ki: xr.Dataset | None = None
) -> LearnedSection:
    """Collect what a report shows of the learned input function.

    Parameters
    ----------
    curve
        Curve of the method ``learned``.
    explanation
        Result of `dlif_core.networks.explanation.attribution.explain_scan`.
    ki
        Result of `ki_by_input_function`.
    """
    scope = curve.provenance.get("scope", {})
    state = str(scope.get("state", "scope not checked"))
    return LearnedSection(
        tone=_TONES.get(state, "warn"),
        verdict=state,
        reasons=tuple(str(reason) for reason in scope.get("reasons", ())),
        facts=_facts(curve.provenance),
        pictures=None if explanation is None else explanation_pictures(explanation),
        course=None if explanation is None else explanation_course(explanation),
        explained=None if explanation is None else explanation_table(explanation),
        ki=None if ki is None else ki_table(ki),
    )


def _facts(provenance: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    model = provenance.get("model", {})
    facts = [
        ("Model", str(model.get("name", ""))),
        ("Digest of its networks", str(model.get("digest", ""))[:12]),
        ("Calibrated on", str(provenance.get("calibrated on", ""))),
    ]
    width = provenance.get("mean width of the band over the mean of the curve")
    facts += [("Mean width of the band over the mean of the curve", significant(width))] if width else []
    kind = f"{100 * provenance['level']:.0f} % interval" if "level" in provenance else "interval"
    facts += [
        (
            f"{_METRICS.get(name, f'{name} over that by the true curve')}, {kind}",
            " to ".join(map(significant, interval)),
        )
        for name, interval in provenance.get("intervals", {}).items()
    ]
    left_out = provenance.get("intervals left out", {})
    facts += [(f"{name}, {kind}", f"left out: {reason}") for name, reason in left_out.items()]
    return tuple((name, value) for name, value in facts if value)


def explanation_pictures(explanation: xr.Dataset) -> Markup:
    """Slices through the most relevant voxel: weight map, and relevance for the first metric, over the mean image."""
    return draw(11.6, 6.6, lambda figure: paint_pictures(figure, explanation), "Where the learned curve came from")


def paint_pictures(figure: Figure, explanation: xr.Dataset) -> None:
    """Draw `explanation_pictures` into a figure."""
    rows = [
        ("Weight map [SUV per SUV]", np.where(_in_body(explanation), explanation["weight_map"].to_numpy(), 0.0)),
        (f"Relevance for the {_title(explanation, 0)} [{_unit(explanation, 0)}]", steady_relevance(explanation, 0)),
    ]
    position = most_relevant_voxel(explanation)
    for panel, (title, overlay) in zip(figure.subfigures(len(rows), 1, squeeze=False).ravel(), rows, strict=True):
        panel.suptitle(title, x=0.01, ha="left", fontsize=8.5, fontweight="bold")
        _paint_row(panel, explanation["mean_activity"].to_numpy(), overlay, position)


def _title(explanation: xr.Dataset, index: int) -> str:
    return str(explanation["title"].to_numpy()[index])


def _unit(explanation: xr.Dataset, index: int) -> str:
    return str(explanation["units"].to_numpy()[index])


def steady_relevance(explanation: xr.Dataset, index: int) -> Array:
    """Relevance where it exceeds its standard deviation over the members, 0 elsewhere; shape (z, y, x)."""
    mean = explanation["relevance"].to_numpy()[index]
    deviation = np.nan_to_num(explanation["relevance_sd"].to_numpy()[index])
    return np.where(np.abs(mean) > deviation, mean, 0.0)


def most_relevant_voxel(explanation: xr.Dataset) -> tuple[int, int, int]:
    """Indices along z, y, x of the voxel around which relevance is highest."""
    from scipy.ndimage import uniform_filter

    pooled = uniform_filter(explanation["relevance"].to_numpy()[0].astype(float), 3)
    z, y, x = np.unravel_index(int(pooled.argmax()), pooled.shape)
    return int(z), int(y), int(x)


def _in_body(explanation: xr.Dataset) -> NDArray[np.bool_]:
    """Voxels with activity, shape (z, y, x): weights outside the body contribute nothing."""
    image = explanation["mean_activity"].to_numpy()
    return np.asarray(image > _BODY * np.percentile(image, 99))


def _paint_row(panel: Any, image: Array, overlay: Array, position: tuple[int, int, int]) -> None:
    """Three slices of an overlay on the image; both limits hold for all three."""
    size = max(float(np.percentile(np.abs(overlay), 99.9)), 1e-12)
    bright = float(np.percentile(image, 99))
    axes = panel.subplots(1, 3)
    shown = None
    for one, (plane, axis, across, up) in zip(axes, _PLANES, strict=True):
        below, above = (np.take(volume, position[axis], axis=axis) for volume in (image, overlay))
        one.imshow(below, cmap="gray", origin="lower", vmin=0.0, vmax=bright, interpolation="nearest")
        visible = np.ma.masked_where(np.abs(above) < _VISIBLE * size, above)
        shown = one.imshow(
            visible, cmap="RdBu_r", origin="lower", norm=Normalize(-size, size), interpolation="nearest", alpha=0.8
        )
        one.set_title(f"{plane}, {'zyx'[axis]} = {position[axis]} mm", fontsize=7.5, fontweight="normal")
        one.set_xlabel(f"{across} [mm]")
        one.set_ylabel(f"{up} [mm]")
        one.grid(visible=False)
    panel.colorbar(shown, ax=list(axes), shrink=0.8, pad=0.01)


def explanation_course(explanation: xr.Dataset) -> Markup:
    """Relevance over time, and what hiding a region or a time window changes, for the first metric."""
    return draw(11.6, 3.4, lambda figure: paint_course(figure, explanation), "When the learned curve came from")


def paint_course(figure: Figure, explanation: xr.Dataset) -> None:
    """Draw `explanation_course` into a figure."""
    if "region" in explanation.dims:
        over_time, regions, windows = figure.subplots(1, 3, width_ratios=(1.5, 1, 1.1))
        names, changes = explanation["region"].to_numpy(), -100 * explanation["occlusion_region"].to_numpy()[0]
        chosen = np.argsort(-np.abs(changes))[:_MOST_BARS]
        _bars(regions, [str(name).replace("_", " ") for name in names[chosen]], changes[chosen], "Region hidden")
    else:
        over_time, windows = figure.subplots(1, 2, width_ratios=(1.5, 1.1))
    _paint_time(over_time, explanation)
    hidden = since_arrival(explanation)
    edges = zip(hidden["window_start"].to_numpy(), hidden["window_end"].to_numpy(), strict=True)
    spans = [f"{start:g} to {end:g} s" for start, end in edges]
    _bars(windows, spans, -100 * hidden["occlusion_window"].to_numpy()[0], "Window hidden")


def since_arrival(explanation: xr.Dataset) -> xr.Dataset:
    """The explanation without windows that end before the bolus arrived: there is no blood to be read in them."""
    return explanation.isel(window=explanation["window_end"].to_numpy() > 0.0)


def _paint_time(axes: Axes, explanation: xr.Dataset) -> None:
    """Relevance of every frame per minute, so that long frames don't seem to matter more, beside the curve."""
    start, minutes = explanation["frame_start"].to_numpy() / 60, explanation["frame_duration"].to_numpy() / 60
    middle = start + 0.5 * minutes
    rate = explanation["relevance_frames"].to_numpy()[0] / minutes
    axes.plot(middle, rate, color=PALETTE[0], drawstyle="steps-mid", label="relevance per minute")
    axes.plot(middle, explanation["curve"].to_numpy(), color=GREY, linewidth=1.0, label="curve [SUV]")
    axes.axhline(0.0, color=INK, linewidth=0.6)
    axes.set_xscale("symlog", linthresh=2.0)
    ticks = [tick for tick in (0, 1, 2, 5, 10, 20, 40, 60, 90) if tick <= start[-1] + minutes[-1]]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xlabel("Time [min]")
    axes.set_title(f"Relevance of the frames: {_title(explanation, 0)}")
    axes.legend()


def _bars(axes: Axes, names: list[str], values: Array, title: str) -> None:
    colours = np.where(np.nan_to_num(values) < 0, PALETTE[1], PALETTE[0])
    axes.barh(range(len(names)), np.nan_to_num(values), color=colours, height=0.7)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.axvline(0.0, color=INK, linewidth=0.6)
    axes.set_xlabel("Change [%]")
    axes.set_title(title)


def paint_matrix(figure: Figure, explanation: xr.Dataset) -> None:
    """Draw the contribution of every frame of the image to every frame of the curve, on a symmetric log scale."""
    matrix = explanation["frame_matrix"].to_numpy()
    size = float(np.abs(matrix).max())
    axes = figure.subplots()
    shown = axes.imshow(matrix, cmap="RdBu_r", norm=SymLogNorm(0.01 * size, vmin=-size, vmax=size), origin="lower")
    axes.set_xlabel("Frame of the image")
    axes.set_ylabel("Frame of the curve")
    axes.set_title("Contribution of frames to the curve [SUV]")
    axes.grid(visible=False)
    figure.colorbar(shown, ax=axes)


def explanation_table(explanation: xr.Dataset) -> ReportTable:
    """Every metric that was explained: its value, the part that relevance misses, and what mattered most."""
    headings = (
        Heading("Metric", numeric=False),
        Heading("Value"),
        Heading("Unit", numeric=False),
        Heading("Completeness gap", "%", "part of the metric that the relevance does not add up to"),
        Heading("Most relevance", numeric=False, note="region, and its share of the metric"),
        Heading("Most influential window", numeric=False),
    )
    rows = tuple(_explained(explanation.isel(target=index)) for index in range(explanation.sizes["target"]))
    return ReportTable(headings, rows)


def _explained(explanation: xr.Dataset) -> tuple[Cell, ...]:
    one = since_arrival(explanation)
    value = float(one["value"])
    window = int(np.nanargmax(np.abs(one["occlusion_window"].to_numpy())))
    start, end = float(one["window_start"][window]), float(one["window_end"][window])
    return (
        Cell(str(one["title"].item())),
        Cell(significant(value)),
        Cell(str(one["units"].item())),
        Cell(number(100 * float(one["gap"]), 1)),
        Cell(_most_relevant(one, value)),
        Cell(f"{start:g} to {end:g} s ({-100 * float(one['occlusion_window'][window]):+.1f} %)".replace("-", "−")),
    )


def _most_relevant(one: xr.Dataset, value: float) -> str:
    if "region" not in one.dims:
        return ABSENT
    shares = one["relevance_region"].to_numpy() / value
    region = int(np.argmax(shares))
    return f"{str(one['region'].to_numpy()[region]).replace('_', ' ')} ({100 * shares[region]:.0f} %)"


def ki_by_input_function(
    regions: RegionCurves,
    timing: FrameTiming,
    curves: Mapping[str, InputFunction],
    acquisition: Acquisition,
) -> xr.Dataset | None:
    """Patlak Ki of every region with every input function, to show the effect of the choice.

    Returns
    -------
    ``Ki`` and ``Ki_se`` with dimensions (method, region); None where the plot does not apply (another tracer than FDG,
    or too few frames after t* = 10 min) or there is no input function.
    """
    if not is_fdg(acquisition.tracer):
        return None
    scan, settings = DynamicScan(timing, acquisition, regions), FitSettings("patlak", t_star=T_STAR)
    fits = {}
    for method, curve in curves.items():
        try:
            fits[method] = fit_regions(scan, curve, settings)[["Ki", "Ki_se"]]
        except (InputError, ConfigurationError):
            continue
    if not fits:
        return None
    return xr.concat(list(fits.values()), dim=xr.Variable("method", list(fits)), combine_attrs="drop")


def ki_table(ki: xr.Dataset) -> ReportTable:
    """Ki of each region with every input function, and its difference from that with the first."""
    methods = [str(name) for name in ki["method"].to_numpy()]
    first = ki["Ki"].to_numpy()[0]
    places = decimals(ki["Ki"].to_numpy().ravel(), ki["Ki_se"].to_numpy().ravel())
    headings = (
        Heading("Region", numeric=False),
        *(Heading(name, "mL·cm⁻³·min⁻¹", f"beside it: difference from {methods[0]}") for name in methods),
    )
    rows = []
    for index, region in enumerate(ki["region"].to_numpy()):
        values = ki["Ki"].to_numpy()[:, index]
        cells = [Cell(number(float(values[0]), places))]
        cells += [
            Cell(number(float(value), places), f"{100 * (value / first[index] - 1):+.0f} %".replace("-", "−"))
            for value in values[1:]
        ]
        rows.append((Cell(str(region)), *cells))
    return ReportTable(
        headings,
        tuple(rows),
        f"Patlak plot, t* = {T_STAR:g} min, no correction for blood. Percentages: difference from {methods[0]}.",
    )
