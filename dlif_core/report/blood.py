"""Figure and table of the input functions of a scan."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.report.figure import GREY, colours, draw, legend_above, logarithmic
from dlif_core.report.numbers import ABSENT, ActivityScale, Cell, Heading, ReportTable, decimals, number
from dlif_core.statistics.curves import common_end, curve_metrics

Curves = Mapping[str, InputFunction]

_EARLY_MINUTES = 3.0


def early_end(curves: Curves) -> float:
    """End of the panel that shows the peak [min]: 3, or later where a peak is late."""
    peaks = [float(curve.time[np.argmax(curve.whole_blood)]) / 60 for curve in curves.values()]
    return max(_EARLY_MINUTES, 1.5 * max(peaks))


def input_function_figure(curves: Curves, timing: FrameTiming, scale: ActivityScale) -> Markup:
    """All input functions of a scan: the peak on a linear scale and the whole on a logarithmic one."""

    def paint(figure: Figure) -> None:
        early, whole = figure.subplots(1, 2, width_ratios=(1, 1.35))
        for method, colour in colours(curves).items():
            for axes in (early, whole):
                _plot(axes, curves[method], colour, scale)
        _frame_axis(early, timing, early_end(curves), "Peak")
        _frame_axis(whole, timing, _last_minute(curves, timing), "Whole scan (logarithmic)")
        show_logarithmic(whole, _top(curves, scale))
        early.set_ylabel(f"Activity concentration [{scale.unit}]")
        legend_above(figure, early, columns=5)

    return draw(11.6, 3.5, paint, "Input functions: early part and whole scan")


def _plot(axes: Axes, curve: InputFunction, colour: str, scale: ActivityScale) -> None:
    minutes = curve.time / 60
    if curve.lower is not None and curve.upper is not None:
        axes.fill_between(
            minutes,
            scale.factor * curve.lower,
            scale.factor * curve.upper,
            color=colour,
            alpha=0.18,
            linewidth=0,
            label=f"{curve.method}, {_band_in_words(curve)}",
        )
    axes.plot(minutes, scale.factor * curve.whole_blood, color=colour, label=f"{curve.method}, whole blood")
    if not np.array_equal(curve.plasma, curve.whole_blood):
        axes.plot(
            minutes,
            scale.factor * curve.plasma,
            color=colour,
            linewidth=1.0,
            dashes=(4, 1.5),
            label=f"{curve.method}, parent plasma",
        )


def _band_in_words(curve: InputFunction) -> str:
    """The band as a legend names it: what is calibrated holds for the whole curve, not for one time alone."""
    level = curve.provenance.get("level")
    return "band" if level is None else f"{100 * level:.0f} % band, all frames at once"


def _frame_axis(axes: Axes, timing: FrameTiming, end: float, title: str) -> None:
    """Time axis in minutes with a tick at the start of every frame."""
    starts = timing.start[timing.start / 60 <= end] / 60
    axes.vlines(starts, 0, 0.02, transform=axes.get_xaxis_transform(), color=GREY, linewidth=0.6)
    axes.set_xlim(min(0.0, float(timing.start[0]) / 60), end)
    axes.set_xlabel("Time from injection [min]; ticks: frame starts")
    axes.set_title(title)


def _last_minute(curves: Curves, timing: FrameTiming) -> float:
    return max(float(timing.end[-1]), *(float(curve.time[-1]) for curve in curves.values())) / 60


def _top(curves: Curves, scale: ActivityScale) -> float:
    return scale.factor * max(float(max(c.whole_blood.max(), c.plasma.max())) for c in curves.values())


def show_logarithmic(axes: Axes, top: float) -> None:
    """Use a logarithmic scale from a thousandth of the peak `top`; lower values are before arrival."""
    if top > 0:
        logarithmic(axes, "y")
        axes.set_ylim(top / 1000, 1.5 * top)


def input_function_table(curves: Curves, scale: ActivityScale) -> ReportTable:
    """Peak, width and area of every input function of a scan; areas up to the last time that all of them reach."""
    end = common_end(list(curves.values()))
    headings = (
        Heading("Method", numeric=False),
        Heading("Peak", scale.unit, "highest value of whole blood"),
        Heading("Time to peak", "s"),
        Heading("FWHM", "s", "full width at half maximum of whole blood"),
        Heading("AUC whole blood", f"{scale.unit}·min", f"0 to {end / 60:.1f} min"),
        Heading("AUC parent plasma", f"{scale.unit}·min", f"0 to {end / 60:.1f} min"),
        Heading("Points"),
        Heading("Ends at", "min"),
        Heading("Warnings", numeric=False),
    )
    rows = tuple(_row(method, curve, end, scale) for method, curve in curves.items())
    return ReportTable(
        headings, rows, f"Areas run from injection to {end / 60:.1f} min, the last time that all curves reach."
    )


def _row(method: str, curve: InputFunction, end: float, scale: ActivityScale) -> tuple[Cell, ...]:
    blood = curve_metrics(curve.time, curve.whole_blood, end)
    plasma = curve_metrics(curve.time, curve.plasma, end)
    numbers = (
        (scale.factor * blood.peak, 2),
        (blood.time_to_peak, 1),
        (blood.fwhm, 1),
        (scale.factor * blood.auc / 60, _places(scale.factor * blood.auc / 60)),
        (scale.factor * plasma.auc / 60, _places(scale.factor * blood.auc / 60)),
        (float(len(curve.time)), 0),
        (float(curve.time[-1]) / 60, 1),
    )
    cells = (Cell(number(value, places)) for value, places in numbers)
    return (Cell(method), *cells, Cell(" ".join(curve.warnings) or ABSENT, tone="warn" if curve.warnings else ""))


def plasma_lines(curves: Curves) -> tuple[str, ...]:
    """Which curves from images have plasma by measurements, of which files; those with assumed plasma are warned of."""
    return tuple(f"{method}: {'; '.join(found)}." for method, curve in curves.items() if (found := _plasma_of(curve)))


def _plasma_of(curve: InputFunction) -> list[str]:
    parts = (curve.provenance.get(name) for name in ("plasma to whole blood", "parent fraction"))
    ratio, parent = (part if isinstance(part, Mapping) else {} for part in parts)
    found = [f"plasma by the measured ratio to whole blood ({_file(ratio)})"] if _file(ratio) else []
    if _file(parent):
        found.append(f"unchanged tracer by measured parent fractions, {parent.get('model')} model ({_file(parent)})")
    return found


def _file(of: Mapping[str, object]) -> str:
    """Name of the file of a measurement; "" where nothing was measured."""
    return str(of.get("source") or "").rsplit("/", 1)[-1]


def _places(value: float) -> int:
    return decimals([value])
