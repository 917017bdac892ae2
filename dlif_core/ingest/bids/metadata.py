"""Metadata of a scan: its sidecar, and what tables of participants and sessions say about the subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlif_core.checks import Finding, Timeline
from dlif_core.checks.metadata import NOT_GIVEN, TIME_AXIS
from dlif_core.errors import MissingInputError
from dlif_core.frames import FrameTiming
from dlif_core.ingest.bids.fields import between, clock
from dlif_core.ingest.bids.participants import read_subject
from dlif_core.ingest.bids.sidecar import Sidecar, StatedTimes
from dlif_core.ingest.bids.vocabulary import kept_words
from dlif_core.ingest.reader import ScanFiles
from dlif_core.scan import Acquisition
from dlif_core.units import factor

_PLACEHOLDER = FrameTiming([0.0], [1.0])
#: Powers of two that numbers hold; a reference that far off is refused by the checks.
_MOST_HALF_LIVES = 1000.0


@dataclass(frozen=True)
class Metadata:
    """What a scan's metadata files say, in canonical units and on the scan's time axis.

    Attributes
    ----------
    timing
        Frames in seconds from injection.
    acquisition
        Tracer, half-life, dose, weight.
    unit
        Unit of the image as the sidecar spells it.
    injection_start
        Time of injection on the files' own axis, from TimeZero [s]: subtract it from every time in them.
    time_zero
        TimeZero [s since midnight], or None if it is no clock time.
    image_decay
        Factor from the image's own decay reference to injection; does not hold the unit.
    kept
        Technical words for the record, by their field.
    findings
        What was assumed.
    timeline
        Times stated beside the frames.
    where
        The most specific sidecar.
    """

    timing: FrameTiming
    acquisition: Acquisition
    unit: str
    injection_start: float
    time_zero: float | None
    image_decay: float
    kept: Mapping[str, str]
    findings: tuple[Finding, ...]
    where: str
    timeline: Timeline = Timeline()

    @property
    def image_factor(self) -> float:
        """Factor from the image's numbers to Bq/mL, decay-corrected to injection."""
        return self.image_decay * factor(self.unit, "concentration", where=f"{self.where}, field Units")

    def decay_to_injection(self, reference: float) -> float:
        """Factor that brings values decay-corrected to `reference` [s from injection] to injection."""
        return _decay_to_injection(reference, self.acquisition.half_life)


def read_metadata(files: ScanFiles) -> Metadata:
    """Read and validate a scan's sidecars and its rows in the tables of participants and sessions.

    Raises
    ------
    MissingInputError
        If the scan has no sidecar.
    InputError
        With all faults of the sidecar at once; a single fault has its own type (UnitError,
        FrameTimingError, FrameOverlapError).
    """
    sidecar = _sidecar(files)
    times = sidecar.times()
    injection = times.injection
    timing = sidecar.attempt(lambda: sidecar.timing(times), _PLACEHOLDER)
    half_life = sidecar.attempt(sidecar.half_life, 1.0)
    unit = sidecar.attempt(sidecar.unit, "")
    reference = sidecar.attempt(lambda: sidecar.decay_reference(times), 0.0)
    tracer = sidecar.attempt(lambda: _tracer(sidecar), "")
    dose = sidecar.injected_activity()
    sidecar.faults.raise_any()
    weight, species = read_subject(files, sidecar)
    if injection:
        sidecar.note(
            TIME_AXIS, f"Injection is at {injection:g} s; all times are shifted so that it is at 0 s.", "InjectionStart"
        )
    return Metadata(
        timing=timing,
        acquisition=Acquisition(
            tracer,
            half_life,
            dose,
            weight,
            decay_corrected=True,
            species=species,
            injection_start=injection,
        ),
        unit=unit,
        injection_start=injection,
        time_zero=clock(sidecar.fields.get("TimeZero")),
        image_decay=_decay_to_injection(reference - injection, half_life),
        kept=kept_words(sidecar.fields),
        findings=tuple(sidecar.findings),
        where=sidecar.where,
        timeline=_timeline(sidecar, times, reference, len(timing)),
    )


def _sidecar(files: ScanFiles) -> Sidecar:
    uris = files.role("sidecar")
    if not uris:
        image = files.role("image")[0]
        expected = image.removesuffix(".gz").removesuffix(".nii") + ".json"
        raise MissingInputError(
            "the image has no JSON sidecar.", where=image, hint=f"Add {expected} with frame times, units and tracer."
        )
    return Sidecar.read(uris)


def _decay_to_injection(reference: float, half_life: float) -> float:
    return float(2.0 ** min(reference / half_life, _MOST_HALF_LIVES))


def _tracer(sidecar: Sidecar) -> str:
    if not sidecar.text("TracerName"):
        sidecar.note(NOT_GIVEN, "TracerName is not given; the tracer is unknown.", "TracerName")
    return sidecar.text("TracerName")


def _timeline(sidecar: Sidecar, times: StatedTimes, reference: float, frames: int) -> Timeline:
    """Times beside the frames; lists that don't have one number for each frame say nothing of them."""
    series, acquired = (clock(sidecar.fields.get(name)) for name in ("SeriesTime", "AcquisitionTime"))
    factors = [sidecar.numbers(name) for name in ("DecayCorrectionFactor", "DecayFactor")]
    references = sidecar.numbers("FrameReferenceTime")
    return Timeline(
        scan_start=None if times.scan_start is None else times.scan_start - times.injection,
        decay_reference=reference - times.injection,
        decay_scheme=tuple(time - times.injection for time in sidecar.decay_scheme(times)),
        decay_factors=next((found for found in factors if len(found) == frames), ()),
        acquired_after_series=None if series is None or acquired is None else between(series, acquired),
        frame_references=references if len(references) == frames else (),
    )
