"""Region curves with their fits, and tables of region parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlif_core.frames import FrameTiming
from dlif_core.kinetics import MODELS, FitStatus
from dlif_core.report.figure import GREY, INK, colours, draw, legend_above
from dlif_core.report.numbers import (
    ABSENT,
    ActivityScale,
    Cell,
    Heading,
    ReportTable,
    decimals,
    number,
    significant,
    unit_text,
)
from dlif_core.scan import RegionCurves
from dlif_core.statistics.tables import error_name, parameter_names

Array = NDArray[np.float64]
Fits = Mapping[str, xr.Dataset]

#: Largest number of regions in a figure; the table has all.
MOST_PANELS = 12
_COLUMNS = 4

TONES = {
    FitStatus.CONVERGED: "good",
    FitStatus.AT_BOUND: "warn",
    FitStatus.DEGENERATE: "warn",
    FitStatus.NOT_CONVERGED: "bad",
    FitStatus.NOT_FINITE: "bad",
    FitStatus.MASKED: "",
    FitStatus.IMPLAUSIBLE: "bad",
}


def status_text(code: int) -> str:
    """A status code in words."""
    return FitStatus(code).name.lower().replace("_", " ")


def shown_regions(regions: RegionCurves, primary: Sequence[str] = ()) -> tuple[str, ...]:
    """Regions that get a panel: the primary ones, or else the largest, in the order of the scan.

    Parameters
    ----------
    regions
        Region curves of the scan.
    primary
        Regions that the study is about; those that the scan lacks are passed over.
    """
    chosen = [name for name in primary if name in regions.names]
    if not chosen:
        size = np.nan_to_num(regions.volume, nan=0.0)
        largest = np.argsort(-size, kind="stable")[:MOST_PANELS]
        chosen = [regions.names[i] for i in sorted(largest)]
    return tuple(chosen[:MOST_PANELS])


def region_figure(
    regions: RegionCurves, timing: FrameTiming, fits: Fits, names: Sequence[str], scale: ActivityScale
) -> Markup:
    """Small multiples: measured curve, fitted curves and residuals of each region."""
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)

    def paint(figure: Figure) -> None:
        panels = figure.subfigures(rows, columns, squeeze=False).ravel()
        pairs = [panel.subplots(2, 1, sharex=True, height_ratios=(3, 1)) for panel in panels[: len(names)]]
        for name, (above, below) in zip(names, pairs, strict=True):
            _panel(above, below, _RegionPanel(regions, timing, fits, name, scale))
        figure.supxlabel("Time from injection [min]", fontsize=8, color=GREY)
        figure.supylabel(f"Activity concentration and residual [{scale.unit}]", fontsize=8, color=GREY)
        legend_above(figure, pairs[0][0])

    return draw(2.9 * columns, 2.35 * rows + 0.6, paint, "Region curves with their fits and residuals")


@dataclass(frozen=True)
class _RegionPanel:
    regions: RegionCurves
    timing: FrameTiming
    fits: Fits
    name: str
    scale: ActivityScale

    @property
    def measured(self) -> Array:
        return np.asarray(self.scale.factor * self.regions.activity[self.regions.names.index(self.name)])

    def fitted(self, fit: str) -> Array:
        return np.asarray(self.scale.factor * self.fits[fit]["fitted"].sel(region=self.name))


def _panel(above: Axes, below: Axes, panel: _RegionPanel) -> None:
    minutes = panel.timing.mid / 60
    above.plot(minutes, panel.measured, "o", color=INK, markersize=2.4, label="measured")
    for fit, colour in colours(panel.fits).items():
        if panel.name not in panel.fits[fit]["region"]:
            continue
        fitted = panel.fitted(fit)
        above.plot(minutes, fitted, color=colour, linewidth=1.2, label=fit)
        below.plot(minutes, panel.measured - fitted, "o-", color=colour, markersize=1.6, linewidth=0.6)
    below.axhline(0.0, color=INK, linewidth=0.6)
    above.set_title(panel.name, fontsize=8)
    above.set_ylim(bottom=min(0.0, float(panel.measured.min())))
    above.tick_params(labelbottom=False)
    below.margins(y=0.15)
    below.locator_params(axis="y", nbins=3)


def fit_facts(fit: xr.Dataset) -> tuple[tuple[str, str], ...]:
    """Model, settings and input function of a fit, as (name, value).

    A cohort's table has no attribute in which its scans differ; the facts say so.
    """
    settings, name = _settings(fit), str(fit.attrs["model"])
    facts = [("Model", MODELS[name].title if name in MODELS else name)]
    if not settings:
        return (*facts, ("Settings", _DIFFERS))
    takes = MODELS[name].options
    facts += [
        ("Input function", str(fit.attrs.get("input_function", _DIFFERS))),
        ("Reference region", settings["reference"] or ""),
        ("t*", _settled(fit, "t_star", "min")),
        ("k2′", _settled(fit, "k2_prime", "min⁻¹")),
        ("Rates", _settled(fit, "rates", "min⁻¹")),
        ("Window", _settled(fit, "window", "min")),
        ("Blood volume vB", _blood_volume(fit, settings["blood_volume"]) if "blood_volume" in takes else ""),
        ("Delay", _DELAYS[settings["delay"]] if "delay" in takes else ""),
        ("Weights", _weights(settings["weights"]) if "window" not in takes else ""),
        ("Denoised", f"HYPR-LR, {fit.attrs['denoise']:g} mm" if "denoise" in fit.attrs else ""),
    ]
    return tuple((title, value) for title, value in facts if value)


_DIFFERS = "differs between scans"
_DELAYS = {"none": "none", "image": "one for the scan", "region": "one for each region"}


def _settled(fit: xr.Dataset, name: str, unit: str) -> str:
    """A number or range of the settings with its unit, and whether it was found on the pilot region."""
    settings = _settings(fit)
    found = json.loads(fit.attrs.get("found", "{}"))
    value = found.get(name, settings[name])
    if value is None:
        return ""
    where = settings["leading_region"] or "the mean of all regions"
    if value == "find":
        return f"found for each scan on {where}"
    text = f"{value:.4g}" if isinstance(value, int | float) else " to ".join(f"{end:.3g}" for end in value)
    return f"{text} {unit}" + (f" (found on {where})" if name in found else "")


def _weights(weights: str | list[float]) -> str:
    return weights if isinstance(weights, str) else "given"


def _settings(fit: xr.Dataset) -> dict[str, Any]:
    return dict(json.loads(fit.attrs.get("settings", "{}")))


def _blood_volume(fit: xr.Dataset, volume: float | None) -> str:
    if volume is not None:
        return f"{volume:g} (fixed)"
    return "fitted" if "vB" in fit else "not corrected for"


def parameter_table(fit: xr.Dataset) -> ReportTable:
    """All regions of a fit: value ± standard error of each parameter, status and AIC."""
    names = [name for name in parameter_names(fit) if _shown(fit, name)]
    columns = [[Cell(status_text(code), tone=TONES[FitStatus(code)]) for code in fit["status"].to_numpy()]]
    columns += [_parameter_cells(fit, name) for name in names]
    headings = [Heading("Region", numeric=False), Heading("Status", numeric=False)]
    headings += [_parameter_heading(fit, name) for name in names]
    if np.isfinite(fit["aic"]).any():
        headings.append(Heading("AIC", note="Akaike information criterion; fixed parameters do not count"))
        columns.append([Cell(number(float(value), 1)) for value in fit["aic"].to_numpy()])
    regions = (Cell(str(region)) for region in fit["region"].to_numpy())
    return ReportTable(tuple(headings), tuple(zip(regions, *columns, strict=True)))


def _shown(fit: xr.Dataset, name: str) -> bool:
    """Whether the table shows a parameter: a delay that is zero everywhere was not fitted."""
    return name != "delay" or bool((np.nan_to_num(fit["delay"]) != 0).any())


def _parameter_heading(fit: xr.Dataset, name: str) -> Heading:
    fixed = name in _fixed(fit)
    label = f"{name} (fixed)" if fixed else name
    return Heading(label, unit_text(fit[name].attrs["units"]), str(fit[name].attrs.get("long_name", "")))


def _fixed(fit: xr.Dataset) -> frozenset[str]:
    return frozenset(("vB",)) if _settings(fit).get("blood_volume") is not None else frozenset()


def _parameter_cells(fit: xr.Dataset, name: str) -> list[Cell]:
    values, errors = fit[name].to_numpy(), fit[error_name(fit, name)].to_numpy()
    if name in _fixed(fit):
        return [Cell(significant(float(value))) for value in values]
    places = decimals(values, errors)
    return [
        Cell(number(float(value), places), _error_text(float(value), float(error), places))
        for value, error in zip(values, errors, strict=True)
    ]


def _error_text(value: float, error: float, places: int) -> str:
    if not np.isfinite(value):
        return ""
    return f"± {number(error, places)}" if np.isfinite(error) else f"± {ABSENT}"


def count_statuses(fits: Fits) -> dict[FitStatus, int]:
    """Count the region fits of all analyses by status; statuses that don't occur are left out."""
    codes = [fit["status"].to_numpy().astype(int) for fit in fits.values()]
    found, counts = np.unique(np.concatenate(codes) if codes else np.array([], int), return_counts=True)
    return {FitStatus(code): int(count) for code, count in zip(found, counts, strict=True)}
