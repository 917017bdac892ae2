"""Metadata of a scan: its sidecar and its row of participants.tsv."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlif_core.checks import Finding, Timeline
from dlif_core.checks.metadata import NOT_GIVEN, TIME_AXIS, UNIT_NOT_GIVEN, WEIGHT_NOT_GIVEN
from dlif_core.errors import MissingInputError
from dlif_core.frames import FrameTiming
from dlif_core.ingest.bids.sidecar import Sidecar, read_sidecar
from dlif_core.ingest.reader import ScanFiles
from dlif_core.ingest.tables import is_given, number, read_table
from dlif_core.scan import Acquisition
from dlif_core.units import factor

#: Fields kept for the record, all from technical vocabularies.
_KEPT = ("Manufacturer", "ManufacturersModelName", "ModeOfAdministration", "AcquisitionMode", "ReconMethodName")

_SPECIES = {
    "mus musculus": "mouse",
    "homo sapiens": "human",
    "rattus norvegicus": "rat",
    "sus scrofa": "pig",
    "macaca mulatta": "rhesus macaque",
}

_PLACEHOLDER = FrameTiming([0.0], [1.0])


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
    image_decay
        Factor from the image's own decay reference to injection; does not hold the unit.
    blood_decay
        The same for blood, which PET-BIDS corrects to TimeZero.
    kept
        Technical fields for the record.
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
    image_decay: float
    blood_decay: float
    kept: Mapping[str, str]
    findings: tuple[Finding, ...]
    where: str
    timeline: Timeline = Timeline()

    @property
    def image_factor(self) -> float:
        """Factor from the image's numbers to Bq/mL, decay-corrected to injection."""
        return self.image_decay * factor(self.unit, "concentration", where=f"{self.where}, field Units")


def read_metadata(files: ScanFiles) -> Metadata:
    """Read and validate a scan's sidecars and its row of participants.tsv.

    Raises
    ------
    MissingInputError
        If the scan has no sidecar.
    InputError
        With all faults of the sidecar at once; a single fault has its own type (UnitError,
        FrameTimingError, FrameOverlapError).
    """
    sidecar = _sidecar(files)
    injection = sidecar.injection_start()
    timing = sidecar.attempt(lambda: sidecar.timing(injection), _PLACEHOLDER)
    half_life = sidecar.attempt(sidecar.half_life, 1.0)
    unit = sidecar.attempt(sidecar.unit, "")
    reference = sidecar.attempt(lambda: sidecar.decay_reference(injection), 0.0)
    stated_weight = sidecar.attempt(sidecar.body_weight, None)
    dose = sidecar.injected_activity()
    sidecar.faults.raise_any()
    weight, species = _participant(files, stated_weight, sidecar.findings)
    if injection:
        sidecar.note(
            TIME_AXIS, f"Injection is at {injection:g} s; all times are shifted so that it is at 0 s.", "InjectionStart"
        )
    return Metadata(
        timing=timing,
        acquisition=Acquisition(
            _tracer(sidecar),
            half_life,
            dose,
            weight,
            decay_corrected=True,
            species=species,
            injection_start=injection,
        ),
        unit=unit,
        injection_start=injection,
        image_decay=_decay_to_injection(reference - injection, half_life),
        blood_decay=_decay_to_injection(-injection, half_life),
        kept={name: sidecar.text(name) for name in _KEPT if sidecar.text(name)},
        findings=tuple(sidecar.findings),
        where=sidecar.where,
    )


def _sidecar(files: ScanFiles) -> Sidecar:
    uris = files.role("sidecar")
    if not uris:
        image = files.role("image")[0]
        expected = image.removesuffix(".gz").removesuffix(".nii") + ".json"
        raise MissingInputError(
            "the image has no JSON sidecar.", where=image, hint=f"Add {expected} with frame times, units and tracer."
        )
    return Sidecar(read_sidecar(uris), uris[-1])


def _decay_to_injection(reference: float, half_life: float) -> float:
    """Return the factor that brings values decay-corrected to `reference` [s from injection] to injection."""
    return float(2.0 ** (reference / half_life))


def _tracer(sidecar: Sidecar) -> str:
    if not sidecar.text("TracerName"):
        sidecar.note(NOT_GIVEN, "TracerName is not given; the tracer is unknown.", "TracerName")
    return sidecar.text("TracerName")


def _participant(files: ScanFiles, weight: float | None, findings: list[Finding]) -> tuple[float | None, str]:
    """Return body weight [kg] and species; the sidecar's own weight takes precedence over the participant's."""
    row = _participant_row(files)
    if weight is None:
        weight = _weight(row.get("weight"), files, findings)
    if weight is None:
        findings.append(WEIGHT_NOT_GIVEN.found("The body weight is unknown; SUV is unavailable."))
    species = row.get("species", "").lower()
    return weight, _SPECIES.get(species, species) if is_given(species) else ""


def _participant_row(files: ScanFiles) -> dict[str, str]:
    """Return the participant's cells of weight and species; nothing else is taken from the table."""
    if not files.role("participants"):
        return {}
    table = read_table(files.role("participants")[0], required=("participant_id",))
    identities = table.columns["participant_id"]
    if files.subject not in identities:
        return {}
    row = identities.index(files.subject)
    return {name: table.columns[name][row] for name in ("weight", "species") if name in table.columns}


def _weight(cell: str | None, files: ScanFiles, findings: list[Finding]) -> float | None:
    value = number(cell)
    if value is None or value <= 0:
        return None
    described = read_sidecar(files.role("participants_sidecar")).get("weight")
    unit = described.get("Units") if isinstance(described, dict) else None
    if not is_given(unit):
        message = "participants.json states no unit for weight; kg is assumed, as BIDS recommends."
        findings.append(UNIT_NOT_GIVEN.found(message, where=files.role("participants")[0]))
        unit = "kg"
    return value * factor(str(unit), "mass", where=f"{files.role('participants')[0]}, column weight")
