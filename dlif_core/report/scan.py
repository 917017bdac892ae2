"""The report of one scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import xarray as xr
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

from dlif_core.checks import Finding, Part, needs_care, remarks, withheld
from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import FitStatus
from dlif_core.report.blood import input_function_figure, input_function_table, plasma_lines
from dlif_core.report.findings import findings_table
from dlif_core.report.html import render
from dlif_core.report.learned import LearnedSection, ki_by_input_function, learned_section
from dlif_core.report.numbers import ActivityScale, ReportTable, significant
from dlif_core.report.regions import count_statuses, fit_facts, parameter_table, region_figure, shown_regions
from dlif_core.report.selection import selection_table, selection_views
from dlif_core.report.slices import Viewport, VolumeView, busiest, map_views, status_table, view
from dlif_core.scan import Acquisition, RegionCurves
from dlif_core.shown import counted

_UNIT_VOXEL = (1.0, 1.0, 1.0)
_LEARNED = "learned"


@dataclass(frozen=True, eq=False)
class ScanReport:
    """Content of the report of a scan.

    Attributes
    ----------
    scan_id
        Identity of the scan.
    acquisition, timing, regions
        Metadata, frames and region curves of the scan.
    input_functions
        Method → curve, in order of preference.
    unavailable
        Product → why it could not be made.
    region_fits
        Fit → dataset with dimensions region and frame, as `dlif_core.kinetics.fit_regions` gives it.
    maps
        Fit → dataset with dimensions z, y, x: each parameter, its standard error and ``status``.
    selection, selection_maps
        Comparison of models by region, see `dlif_core.kinetics.selection.compare_regions`, and by voxel
        (``best_model``, ``akaike_weight``), or None.
    mean_image
        Mean over time, shape (z, y, x) [Bq/mL], or None for a scan of region curves alone.
    labels
        Region labels, shape (z, y, x), or None.
    voxel_size
        Edge lengths along z, y, x [mm], or None.
    findings
        What checks found in the data and in the results.
    warnings
        (Where, what) for everything else that was assumed, as by the input functions.
    provenance
        Nested mapping: settings, versions, fingerprints.
    primary_regions
        Regions that get a figure; by default the largest.
    explanation
        Explanation of the learned input function, the result of
        `dlif_core.networks.explanation.attribution.explain_scan`, or None.
    """

    scan_id: str
    acquisition: Acquisition
    timing: FrameTiming
    regions: RegionCurves
    input_functions: Mapping[str, InputFunction] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    region_fits: Mapping[str, xr.Dataset] = field(default_factory=dict)
    maps: Mapping[str, xr.Dataset] = field(default_factory=dict)
    selection: xr.Dataset | None = None
    selection_maps: xr.Dataset | None = None
    mean_image: ArrayLike | None = None
    labels: NDArray[np.int32] | None = None
    voxel_size: tuple[float, float, float] | None = None
    findings: tuple[Finding, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    primary_regions: tuple[str, ...] = ()
    explanation: xr.Dataset | None = None

    @property
    def scale(self) -> ActivityScale:
        """Unit in which activity is shown."""
        return ActivityScale.of(self.acquisition)


@dataclass(frozen=True)
class Headline:
    """One statement at the head of a report, with its tone ("good", "note", "warn", "bad")."""

    tone: str
    text: str


@dataclass(frozen=True)
class _FitSection:
    name: str
    facts: tuple[tuple[str, str], ...]
    table: ReportTable


@dataclass(frozen=True)
class _MapSection:
    name: str
    facts: tuple[tuple[str, str], ...]
    views: tuple[VolumeView, ...]


def scan_report(report: ScanReport) -> str:
    """The report of a scan as one HTML page that needs no other file; the same input gives the same text."""
    fits = [_FitSection(name, fit_facts(fit), parameter_table(fit)) for name, fit in report.region_fits.items()]
    return render(
        "scan.html",
        report=report,
        scale=report.scale,
        facts=_facts(report),
        headlines=headlines(report),
        findings=findings_table({report.scan_id: report.findings}, scans=False),
        warnings=_all_warnings(report),
        input_figure=_input_figure(report),
        input_table=input_function_table(report.input_functions, report.scale) if report.input_functions else None,
        plasma=plasma_lines(report.input_functions),
        learned=_learned(report),
        region_figure=_region_figure(report),
        shown=shown_regions(report.regions, report.primary_regions),
        fits=fits,
        selection=selection_table(report.selection) if report.selection is not None else None,
        selection_views=_selection_views(report),
        image_views=_image_views(report),
        map_sections=_map_sections(report),
        status_table=status_table(report.maps) if report.maps else None,
    )


def headlines(report: ScanReport) -> tuple[Headline, ...]:
    """Statements at the head of a report: fits, unavailable products, what checks found, warnings."""
    warnings = len(_all_warnings(report))
    found = [_fit_headline(report)]
    if report.unavailable:
        found.append(Headline("warn", f"{counted(len(report.unavailable), 'product')} unavailable"))
    tone = "warn" if needs_care(report.findings) else "note"
    found += [Headline(tone, remark) for remark in remarks(report.findings)] or [Headline("good", "all checks passed")]
    found.append(Headline("warn", counted(warnings, "warning")) if warnings else Headline("good", "no warnings"))
    return tuple(found)


def _fit_headline(report: ScanReport) -> Headline:
    counts = count_statuses(report.region_fits)
    total = sum(counts.values())
    if not total:
        return Headline("bad", "no region was fitted")
    converged = counts.get(FitStatus.CONVERGED, 0)
    optimum = converged + counts.get(FitStatus.AT_BOUND, 0)
    text = f"{converged} of {counted(total, 'region fit')} converged"
    if optimum > converged:
        text += f", {optimum - converged} at a bound"
    implausible = counts.get(FitStatus.IMPLAUSIBLE, 0)
    if implausible:
        text += f", {implausible} not plausible"
    if total > optimum + implausible:
        text += f", {total - optimum - implausible} failed or undetermined"
    return Headline("good" if converged == total else "bad" if optimum == 0 else "warn", text)


def _all_warnings(report: ScanReport) -> tuple[tuple[str, str], ...]:
    """The warnings of the report and those of its curves, without duplicates."""
    of_curves = [
        (f"input function {method}", text)
        for method, curve in report.input_functions.items()
        for text in curve.warnings
    ]
    known = {text for _, text in report.warnings}
    return (*report.warnings, *(entry for entry in of_curves if entry[1] not in known))


def _facts(report: ScanReport) -> tuple[tuple[str, str], ...]:
    """Acquisition facts: (name, value with unit)."""
    acquisition, timing = report.acquisition, report.timing
    facts = [
        ("Tracer", acquisition.tracer),
        ("Species", acquisition.species or "not given"),
        ("Injected activity", _quantity(acquisition.injected_activity, 1e-6, "MBq", _missing(report, Part.DOSE))),
        ("Body weight", _weight(acquisition.body_weight, _missing(report, Part.WEIGHT))),
        ("Half-life", f"{acquisition.half_life / 60:.2f} min"),
        ("Decay-corrected", "yes" if acquisition.decay_corrected else "no"),
        ("Frames", f"{len(timing)}: {frame_schedule(timing)}"),
        ("Time covered", f"{timing.start[0] / 60:.4g} to {timing.end[-1] / 60:.4g} min"),
        ("Regions", str(len(report.regions.names))),
        ("Image", _image_fact(report)),
    ]
    gaps = "; ".join(str(gap) for gap in timing.gaps)
    return (*facts, ("Gaps", gaps)) if gaps else tuple(facts)


def _missing(report: ScanReport, part: Part) -> str:
    """What is told in place of a number that the scan does not have: not given, or given and withheld."""
    return "not used" if withheld(report.findings, part) else "not given"


def _quantity(value: float | None, factor: float, unit: str, missing: str) -> str:
    return missing if value is None else f"{significant(factor * value)} {unit}"


def _weight(weight: float | None, missing: str) -> str:
    light = weight is not None and weight < 1
    return _quantity(weight, 1e3 if light else 1.0, "g" if light else "kg", missing)


def frame_schedule(timing: FrameTiming) -> str:
    """Frame durations in brief, such as ``6 × 10 s, 8 × 30 s``."""
    runs = groupby(float(f"{duration:.3g}") for duration in timing.duration)
    return ", ".join(f"{len(list(run))} × {duration:g} s" for duration, run in runs)


def _image_fact(report: ScanReport) -> str:
    if report.mean_image is None:
        return "none, region curves only"
    z, y, x = np.shape(report.mean_image)
    size = " × ".join(f"{edge:.3g}" for edge in reversed(report.voxel_size or _UNIT_VOXEL))
    return f"{x} × {y} × {z} voxels of {size} mm (x, y, z)"


def _input_figure(report: ScanReport) -> Markup | None:
    if not report.input_functions:
        return None
    return input_function_figure(report.input_functions, report.timing, report.scale)


def _learned(report: ScanReport) -> LearnedSection | None:
    curves = report.input_functions
    if _LEARNED not in curves:
        return None
    ki = ki_by_input_function(report.regions, report.timing, curves, report.acquisition)
    return learned_section(curves[_LEARNED], report.explanation, ki)


def _region_figure(report: ScanReport) -> Markup:
    names = shown_regions(report.regions, report.primary_regions)
    return region_figure(report.regions, report.timing, report.region_fits, names, report.scale)


def _viewport(report: ScanReport, shape: tuple[int, ...], **size: float) -> Viewport:
    z, y, x = shape
    position = busiest(report.mean_image, report.labels, (z, y, x))
    return Viewport(position, report.voxel_size or _UNIT_VOXEL, **size)


def _image_views(report: ScanReport) -> tuple[VolumeView, ...]:
    """The mean image, plain and with the outlines of the regions."""
    if report.mean_image is None:
        return ()
    values = report.scale.factor * np.asarray(report.mean_image, float)
    viewport = _viewport(report, values.shape)
    plain = view(values, "Mean activity", report.scale.unit, viewport, colours="gray_r", crosshair=True)
    if report.labels is None:
        return (plain,)
    outlined = view(
        values,
        "Mean activity with region outlines",
        report.scale.unit,
        viewport,
        colours="gray_r",
        labels=report.labels,
    )
    return plain, outlined


def _selection_views(report: ScanReport) -> tuple[VolumeView, ...]:
    maps = report.selection_maps
    return () if maps is None else selection_views(maps, _viewport(report, maps["best_model"].shape))


def _map_sections(report: ScanReport) -> tuple[_MapSection, ...]:
    return tuple(
        _MapSection(name, fit_facts(maps), map_views(maps, report.labels, _viewport(report, maps["status"].shape)))
        for name, maps in report.maps.items()
    )
