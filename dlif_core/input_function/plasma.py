"""Total and parent plasma of a whole-blood curve that was read from an image.

An image shows whole blood. What of it is plasma, and what of that unchanged tracer, is measured in blood: in samples of
the scan, or in others of the study that a file holds. Each of the two is taken from the scan's own samples, else from
the file, else assumed, which is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dlif_core.blood_samples.merge import ArterialBlood, merge
from dlif_core.blood_samples.parent_fraction import ParentFractionModel, fit_parent_fraction
from dlif_core.blood_samples.plasma import assumed_ratio, measured_ratio
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.blood_samples.series import Series
from dlif_core.errors import BloodError, UnitError
from dlif_core.input_function.from_file.files import digests, files_of
from dlif_core.input_function.from_file.options import FilesOfScan, FromFileOptions, Quantity
from dlif_core.input_function.from_file.quantities import file_curves
from dlif_core.input_function.from_file.tables import read_curve_table
from dlif_core.input_function.method import Options, ScanPlace
from dlif_core.input_function.sampled import SampledCurve, implausible_ratio
from dlif_core.scan import Acquisition, is_fdg

Array = NDArray[np.float64]

#: Warning of every curve whose plasma holds metabolites.
WITH_METABOLITES = "the parent plasma curve is total plasma, metabolites included."

_POOR_FIT = 0.05
# parent fractions that end before this part of the curve are doubted
_SHORT = 0.25


class PlasmaOptions(Options):
    """How plasma follows from samples of blood; base of the options of methods that use them.

    Attributes
    ----------
    parent_fraction
        Model of the parent fraction.
    parent_fraction_start
        Value of the parent fraction at injection; None fits it where early samples determine it.
    plasma_ratio
        How the plasma to whole-blood ratio runs between its samples, where plasma was sampled less often than whole
        blood: ``interpolation`` joins them by lines, ``constant`` takes their median.
    """

    parent_fraction: ParentFractionModel = "hill"
    parent_fraction_start: Annotated[float, Field(gt=0, le=1)] | None = None
    plasma_ratio: Literal["interpolation", "constant"] = "interpolation"


class PlasmaFile(FromFileOptions):
    """A file of parent fractions or of plasma, of each scan or one of the study; options as those of from-file.

    A path without placeholders is the same file for all scans. `units` are needed where plasma and whole blood are
    there without units; `decay_corrected_to` and `max_extrapolation` decide nothing.
    """

    needed: ClassVar[tuple[Quantity, ...]] = ("parent_fraction", "plasma_fraction", "plasma")
    setting: ClassVar[str] = "plasma"

    def of_scan(self, place: ScanPlace) -> PlasmaFileOfScan:
        """The same for one scan; a path that names no scan may serve for all."""
        shared = "{" not in "".join(self.path).replace("{data}", "")
        return PlasmaFileOfScan(**self.values_of_scan(place, shared=shared))


class PlasmaFileOfScan(FilesOfScan, PlasmaFile):
    """A file of parent fractions or of plasma for one scan of a study."""


class ImageOptions(PlasmaOptions):
    """Options of methods that read whole blood from an image; base of the options of each.

    Attributes
    ----------
    plasma
        File of parent fractions, of the ratio of plasma to whole blood, or of both, for scans without such samples.
    """

    plasma: PlasmaFile | None = None

    def relative_to(self, folder: str) -> Self:
        """The same; the file of plasma counts from the folder."""
        if self.plasma is None:
            return self
        return self.model_copy(update={"plasma": self.plasma.relative_to(folder)})

    def of_scan(self, place: ScanPlace) -> Self:
        """The same for one scan, whose file is known."""
        if self.plasma is None:
            return self
        return self.model_copy(update={"plasma": self.plasma.of_scan(place)})

    def deciding_settings(self) -> dict[str, Any]:
        """Settings that decide the curve; of the file of plasma, its content does and not its path."""
        plasma = None if self.plasma is None else self.plasma.deciding_settings()
        return {**self.model_dump(mode="json", exclude={"plasma"}), "plasma": plasma}


def plasma_facts(options: Options) -> Mapping[str, str]:
    """Digest of the file of plasma that the options name, by the end of its path; nothing where they name none."""
    return digests(options.plasma) if isinstance(options, ImageOptions) and options.plasma is not None else {}


@dataclass(frozen=True, eq=False)
class ImagePlasma:
    """Plasma relative to whole blood.

    Attributes
    ----------
    ratio
        Total plasma over whole blood, shape (points,).
    parent
        Parent fraction, shape (points,); ones where it is not known.
    provenance
        Where both come from, by ``plasma to whole blood`` and ``parent fraction``.
    warnings
        What was assumed or found doubtful.
    with_metabolites
        Whether the parent fraction of a tracer with metabolites is not known, so that they are in the plasma.
    """

    ratio: Array
    parent: Array
    provenance: dict[str, Any]
    warnings: tuple[str, ...]
    with_metabolites: bool = False

    @property
    def factor(self) -> Array:
        """Parent plasma over whole blood, shape (points,)."""
        return self.ratio * self.parent


@dataclass(frozen=True, eq=False)
class _Measured:
    """Samples of the ratio or of the parent fraction, and the file that they are from."""

    series: Series
    source: str
    warnings: tuple[str, ...] = ()


def image_plasma(
    time: Array, acquisition: Acquisition, recordings: Sequence[BloodRecording], options: ImageOptions
) -> ImagePlasma:
    """Plasma relative to whole blood, for a curve that an image gives.

    Parameters
    ----------
    time
        Times of the curve, shape (points,) [s].
    acquisition
        Tracer and species.
    recordings
        All blood recordings of the scan. Venous samples serve where there are no arterial ones.
    options
        Options of the method.

    Raises
    ------
    BloodError
        If parent fractions, or anything in the file of the options, can't be used as they can't for an arterial curve.
    UnitError
        If the file has no units, or plasma is out of all proportion to whole blood.
    MissingInputError
        If the file is not there.
    """
    ratio, doubts = _own_ratio(recordings)
    fraction = _own_fraction(recordings)
    if options.plasma is not None:
        of_ratio, of_fraction = _from_file(options.plasma, acquisition)
        ratio, fraction = ratio or of_ratio, fraction or of_fraction
    plasma = _ratio_on(time, ratio, acquisition, options)
    series, source = (fraction.series, fraction.source) if fraction else (None, "")
    parent = parent_fraction_on(time, series, source, acquisition, options)
    of_parent = {**parent.provenance, "source": source} if fraction else parent.provenance
    found = doubts + (ratio.warnings if ratio else ()) + (fraction.warnings if fraction else ())
    return ImagePlasma(
        plasma.values,
        parent.values,
        {"plasma to whole blood": plasma.provenance, "parent fraction": of_parent},
        tuple(dict.fromkeys(found + plasma.warnings + parent.warnings)),
        parent.with_metabolites,
    )


def ratio_at(ratio: Series, time: Array, options: PlasmaOptions) -> tuple[Array, dict[str, Any]]:
    """A measured plasma to whole-blood ratio at other times, shape (points,), with its provenance."""
    constant = options.plasma_ratio == "constant"
    values = np.full(len(time), np.median(ratio.value)) if constant else np.interp(time, ratio.time, ratio.value)
    return values, {
        "from": f"whole blood times measured ratio ({options.plasma_ratio})",
        "ratio samples": len(ratio.time),
        "ratio range": [float(ratio.value.min()), float(ratio.value.max())],
        "ratio constant after [s]": float(ratio.time[-1]),
    }


def parent_fraction_on(
    time: Array, series: Series | None, source: str, acquisition: Acquisition, options: PlasmaOptions
) -> SampledCurve:
    """The parent fraction on a time grid by the model of the options; ones, with a warning, where none was measured.

    Parameters
    ----------
    time
        Shape (points,) [s].
    series
        Samples of the parent fraction, or None.
    source
        File of the samples.
    acquisition
        Tracer: FDG has no metabolites in plasma.
    options
        Model and start.

    Raises
    ------
    BloodError
        If there are fewer samples than the model has parameters.
    """
    if series is None:
        without = f"no parent fraction was measured; {WITH_METABOLITES}"
        held = not is_fdg(acquisition.tracer)
        return SampledCurve(np.ones_like(time), {"model": None}, (without,) if held else (), held)
    model = fit_parent_fraction(
        series.time, series.value, options.parent_fraction, options.parent_fraction_start, where=source
    )
    error = model.root_mean_square_error
    poor = f"the {model.model} model misses the parent fractions by {error:.3f} (root mean square)."
    doubts = (*_doubts_of_fractions(series, time, acquisition), *((poor,) if error > _POOR_FIT else ()))
    return SampledCurve(model.at(time), model.provenance, doubts)


def _doubts_of_fractions(series: Series, time: Array, acquisition: Acquisition) -> Iterator[str]:
    """Doubts of parent fractions whose times don't fit the curve, or which are of a tracer without metabolites."""
    if is_fdg(acquisition.tracer):
        yield "parent fractions were applied to FDG, which has no metabolites in plasma: are they of this tracer?"
    last, end = float(series.time.max()) / 60.0, float(time[-1]) / 60.0
    if last < _SHORT * end:
        yield (
            f"the last parent fraction is of {last:.3g} min, the curve ends at {end:.3g} min: is the time's unit right?"
        )
    later = int((series.time > time[-1]).sum())
    if later > 0.5 * len(series.time):
        yield (
            f"{later} of {len(series.time)} parent fractions are later than the end of the curve at {end:.3g} min: is "
            "the time's unit right?"
        )


def _ratio_on(time: Array, ratio: _Measured | None, acquisition: Acquisition, options: PlasmaOptions) -> SampledCurve:
    """Total plasma over whole blood: as measured, by a published formula, or 1 with a warning."""
    if ratio is not None:
        values, provenance = ratio_at(ratio.series, time, options)
        return SampledCurve(values, {**provenance, "source": ratio.source})
    assumed, name, warnings = assumed_ratio(time, acquisition)
    without = ("plasma is taken as whole blood: their ratio was not measured.",) if warnings else ()
    return SampledCurve(assumed, {"from": name}, without)


def _own_ratio(recordings: Sequence[BloodRecording]) -> tuple[_Measured | None, tuple[str, ...]]:
    """The ratio in samples of the scan, or None; of faulty samples the fault too."""
    chosen, doubts = _samples(recordings, "whole_blood", "plasma")
    if not chosen:
        return None, ()
    try:
        blood = merge(chosen)
    except BloodError as fault:
        return None, (f"plasma samples are not used: {fault.message}",)
    return _ratio_of(blood, (*doubts, *blood.warnings)), ()


def _ratio_of(blood: ArterialBlood, warnings: tuple[str, ...]) -> _Measured | None:
    ratio = measured_ratio(blood)
    return None if ratio is None else _Measured(ratio, blood.source, warnings + implausible_ratio(ratio))


def _own_fraction(recordings: Sequence[BloodRecording]) -> _Measured | None:
    """Parent fractions in samples of the scan."""
    chosen, doubts = _samples(recordings, "parent_fraction")
    alone = [replace(each, whole_blood=None, plasma=None) for each in chosen if _known(each.parent_fraction)]
    if not alone:
        return None
    blood = merge(alone, needs_activity=False)
    if blood.parent_fraction is None:
        return None
    return _Measured(blood.parent_fraction, blood.source, doubts + blood.warnings)


def _known(values: Array | None) -> bool:
    return values is not None and bool(np.isfinite(values).any())


def _samples(recordings: Sequence[BloodRecording], *columns: str) -> tuple[list[BloodRecording], tuple[str, ...]]:
    """Recordings that hold these columns and can be read: arterial ones, or else venous ones with a warning."""
    for arterial in (True, False):
        chosen = [each for each in recordings if each.arterial is arterial and not each.refused]
        if all(any(_known(getattr(each, column)) for each in chosen) for column in columns):
            named = ", ".join(each.name for each in chosen)
            doubts = () if arterial else (f"plasma was measured in venous samples ({named}).",)
            return [replace(each, arterial=True) for each in chosen], doubts
    return [], ()


def _from_file(file: FromFileOptions, acquisition: Acquisition) -> tuple[_Measured | None, _Measured | None]:
    """The ratio and parent fractions that a file holds."""
    curves = file_curves([read_curve_table(uri) for uri in files_of(file)], acquisition, file)
    ratio = curves.series.get("plasma_fraction")
    if ratio is None:
        blood = ArterialBlood(curves.series.get("whole_blood"), curves.series.get("plasma"), None, curves.source)
        ratio = measured_ratio(blood)
    fraction = curves.series.get("parent_fraction")
    for fault in implausible_ratio(ratio):
        raise UnitError(fault, where=curves.source, hint="One of the columns is in another unit than stated.")
    if ratio is None and fraction is None:
        raise BloodError(
            "the file holds plasma alone: its ratio to whole blood is not known.",
            where=curves.source,
            hint="Name a column of whole blood too, or one of plasma_fraction.",
        )
    return tuple(  # type: ignore[return-value]
        series and _Measured(series, curves.source, curves.warnings) for series in (ratio, fraction)
    )
