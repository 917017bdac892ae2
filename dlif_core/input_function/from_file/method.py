"""The input function in the files of a scan.

Whole blood, total plasma and parent plasma run piecewise linear through the points of the files, and follow the
log-linear tail beyond the last. What the files lack is derived where it can be, and assumed with a warning where not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dlif_core.blood_samples.merge import ArterialBlood
from dlif_core.blood_samples.plasma import assumed_ratio, measured_ratio
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.blood_samples.series import Series, time_grid
from dlif_core.checks.samples import clock_faults, jump_fault, outlasts
from dlif_core.curve import InputFunction
from dlif_core.errors import BloodError, UnitError
from dlif_core.input_function.from_file.files import digests, files_of
from dlif_core.input_function.from_file.options import ACTIVITIES, FromFileOptions, Quantity
from dlif_core.input_function.from_file.quantities import FileCurves, file_curves, injection_in_file
from dlif_core.input_function.from_file.tables import read_curve_table
from dlif_core.input_function.method import Method
from dlif_core.input_function.plasma import WITH_METABOLITES
from dlif_core.input_function.sampled import SampledCurve, implausible_ratio, late_start, on_grid
from dlif_core.scan import Acquisition, DynamicScan, is_fdg

Array = NDArray[np.float64]

#: A fraction that is held constant over more than this share of the scan is told.
_NOTABLE = 0.01
#: Parent plasma above total plasma by more than this factor (median) means a mistaken unit or column.
_MOST_PARENT = 1.05


def estimate(scan: DynamicScan, recordings: Sequence[BloodRecording], options: FromFileOptions) -> InputFunction:
    """Input function of a scan from files; blood recordings are not used.

    Raises
    ------
    MissingInputError
        If there is no file of the scan.
    BloodError
        If the file can't be told, is another scan's, or can't give a curve for the whole scan.
    UnitError
        If a unit is missing, unknown or contradicts the options.
    InputError
        If a file can't be read.
    """
    tables = [read_curve_table(uri) for uri in files_of(options)]
    curves = file_curves(tables, scan.acquisition, options)
    _require_possible_samples(curves, scan)
    end = float(scan.timing.end[-1])
    time = time_grid(end, *(series.time for series in curves.series.values()))
    plasma, whole_blood, parent = _activities(curves, time, scan.acquisition, options)
    made = {"whole blood": whole_blood, "total plasma": plasma, "parent plasma": parent}
    _require_plausible_plasma(curves)
    found = [*curves.warnings, *_doubts(curves), *(each for curve in made.values() if curve for each in curve.warnings)]
    found += _unknown_axis(scan.acquisition, options)
    provenance = {
        "source": curves.source,
        "options": options.deciding_settings(),
        "injection in the file [s]": injection_in_file(scan.acquisition, options),
        "points": {quantity: len(series.time) for quantity, series in curves.series.items()},
        **{name: curve.provenance for name, curve in made.items() if curve},
    }
    return InputFunction(
        time=time,
        whole_blood=whole_blood.values,
        plasma=parent.values,
        method=METHOD.name,
        provenance=provenance,
        with_metabolites=parent.with_metabolites,
        warnings=tuple(dict.fromkeys(found)),
    )


def _require_possible_samples(curves: FileCurves, scan: DynamicScan) -> None:
    """Refuse curves that no blood of this scan can have, as the checks of blood samples do."""
    for recording in curves.recordings:
        last = float(recording.time.max(initial=0.0))
        for fault in (*clock_faults(recording, scan.timing), outlasts(last, scan.timing)):
            if fault:
                raise BloodError(
                    fault, where=curves.source, hint="Check the times in the file, `time_unit` and `injection_s`."
                )
    for quantity in ACTIVITIES:
        series = curves.series.get(quantity)
        fault = jump_fault(quantity.replace("_", " "), series.time, series.value) if series else ""
        if fault:
            raise BloodError(fault, where=curves.source, hint="Correct the value, or write n/a if it was lost.")


def _activities(
    curves: FileCurves, time: Array, acquisition: Acquisition, options: FromFileOptions
) -> tuple[SampledCurve | None, SampledCurve, SampledCurve]:
    """Total plasma (None where only parent plasma is known), whole blood and parent plasma on the grid."""

    def laid_out(quantity: Quantity) -> SampledCurve | None:
        series = curves.series.get(quantity)
        if series is None:
            return None
        words = {"parent": "parent plasma"}.get(quantity, quantity.replace("_", " "))
        return on_grid(series, words, time, max_extrapolation=options.max_extrapolation, where=curves.source)

    whole_blood, plasma, parent = (laid_out(quantity) for quantity in ACTIVITIES)
    plasma = plasma or _plasma(curves, whole_blood, parent, time, acquisition)
    if parent is None:
        assert plasma is not None, "without parent plasma there is whole blood or total plasma"
        parent = _parent(curves, plasma, time, acquisition)
    return plasma, whole_blood or _whole_blood(plasma, parent, time, acquisition), parent


def _plasma(
    curves: FileCurves,
    whole_blood: SampledCurve | None,
    parent: SampledCurve | None,
    time: Array,
    acquisition: Acquisition,
) -> SampledCurve | None:
    """Total plasma from whole blood; not needed where the file has parent plasma."""
    if whole_blood is None or parent is not None:
        return None
    fraction = curves.series.get("plasma_fraction")
    if fraction is not None:
        held = _fraction(fraction, time, "plasma fraction", float(fraction.value[0]))
        return SampledCurve(
            whole_blood.values * held.values,
            {"from": "whole blood times the plasma fraction of the file"},
            held.warnings,
        )
    ratio, name, warnings = assumed_ratio(time, acquisition)
    return SampledCurve(whole_blood.values * ratio, {"from": f"whole blood, ratio {name}"}, warnings)


def _parent(curves: FileCurves, plasma: SampledCurve, time: Array, acquisition: Acquisition) -> SampledCurve:
    """Parent plasma from total plasma and the parent fraction, which is one at injection."""
    series = curves.series.get("parent_fraction")
    if series is not None:
        held = _fraction(series, time, "parent fraction", 1.0)
        return SampledCurve(
            plasma.values * held.values, {"from": "total plasma times the parent fraction of the file"}, held.warnings
        )
    total = SampledCurve(plasma.values, {"from": "total plasma"})
    if is_fdg(acquisition.tracer):
        return total
    without = f"the file has no parent fraction; {WITH_METABOLITES}"
    return replace(total, warnings=(without,), with_metabolites=True)


def _whole_blood(
    plasma: SampledCurve | None, parent: SampledCurve, time: Array, acquisition: Acquisition
) -> SampledCurve:
    """Whole blood from total plasma, or from parent plasma where nothing else is known."""
    ratio, name, warnings = assumed_ratio(time, acquisition)
    if plasma is not None:
        return SampledCurve(plasma.values / ratio, {"from": f"total plasma, ratio {name}"}, warnings)
    if not is_fdg(acquisition.tracer):
        warnings = (
            "the file has parent plasma only, which is taken for whole blood too: blood volumes (vB) are wrong by the "
            "metabolites and by the share of blood cells.",
        )
    return SampledCurve(parent.values / ratio, {"from": f"parent plasma, ratio {name}"}, warnings)


def _fraction(series: Series, time: Array, quantity: str, at_injection: float) -> SampledCurve:
    """A fraction between its samples by lines, and constant after the last."""
    nodes, values = series.time, series.value
    if nodes[0] > 0:
        nodes, values = np.append(0.0, nodes), np.append(at_injection, values)
    last, end = float(nodes[-1]), float(time[-1])
    warning = f"the {quantity} is held constant from {last:g} s to {end:g} s."
    constant = last < (1 - _NOTABLE) * end
    return SampledCurve(np.interp(time, nodes, values), {}, (warning,) if constant else ())


def _require_plausible_plasma(curves: FileCurves) -> None:
    """Refuse total plasma that is out of all proportion to whole blood."""
    for fault in implausible_ratio(_ratio(curves.series, "plasma", "whole_blood")):
        raise UnitError(fault, where=curves.source, hint="One of the columns is in another unit than stated.")


def _doubts(curves: FileCurves) -> list[str]:
    """Warnings of a rise that is missing, and of activities that are out of proportion to each other."""
    found = curves.series
    first = next(found[quantity] for quantity in ACTIVITIES if quantity in found)
    return [
        *late_start(first),
        *_above(_ratio(found, "parent", "plasma")),
        *(() if "plasma" in found else _far_above(_ratio(found, "parent", "whole_blood"))),
    ]


def _ratio(found: Mapping[Quantity, Series], upper: Quantity, lower: Quantity) -> Series | None:
    if upper not in found or lower not in found:
        return None
    return measured_ratio(ArterialBlood(found[lower], found[upper], None, ""))


def _above(ratio: Series | None) -> tuple[str, ...]:
    if ratio is None or np.median(ratio.value) <= _MOST_PARENT:
        return ()
    return (
        f"parent plasma is {np.median(ratio.value):.2g} times total plasma (median), of which it is a part; check the "
        "units of both columns.",
    )


def _far_above(ratio: Series | None) -> tuple[str, ...]:
    """A warning of parent plasma far above whole blood; far below it may be, as most tracer may be metabolised."""
    return tuple(each for each in implausible_ratio(ratio) if ratio is not None and np.median(ratio.value) > 1)


def _unknown_axis(acquisition: Acquisition, options: FromFileOptions) -> tuple[str, ...]:
    """A warning where files of bloodstream count from a time zero that the scan does not tell."""
    known = acquisition.injection_start is not None or options.injection_s is not None
    if options.kind != "bloodstream" or known:
        return ()
    return (
        "bloodstream counts from the scan's time zero, which is taken as the injection; state `injection_s` if the "
        "injection was at another time.",
    )


METHOD = Method("from-file", "From a file", FromFileOptions, estimate, digests)
