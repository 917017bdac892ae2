"""The checks applied to a scan that a reader has opened, and what of the scan is left."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.checks import Finding, Part, ScanFacts, examine, judged, require_usable, withheld
from dlif_core.checks.image import NOT_MEASURED, empty_frames
from dlif_core.ingest.kept_frames import without_frames
from dlif_core.ingest.reader import IngestedScan
from dlif_core.scan import Acquisition


def examined(read: IngestedScan, accept: Collection[str] = ()) -> IngestedScan:
    """Check a scan, and withhold what its findings rule out.

    Parameters
    ----------
    read
        The scan as its reader opened it.
    accept
        Names of checks whose doubts are accepted.

    Returns
    -------
    The scan with all findings, without dose and weight or without blood samples where a finding rules them out.

    Raises
    ------
    RefusedScanError
        If a finding rules out the scan.
    """
    read = _without_empty_frames(_summarised(read))
    findings = judged((*read.findings, *examine(facts_of(read))), accept)
    require_usable(findings)
    acquisition = _with_sound_dose(read.scan.acquisition, findings)
    return replace(
        read,
        scan=replace(read.scan, acquisition=acquisition),
        blood=_sound_blood(read.blood, findings),
        findings=findings,
    )


def facts_of(read: IngestedScan) -> ScanFacts:
    """What the checks look at."""
    return ScanFacts(
        timing=read.scan.timing,
        acquisition=read.scan.acquisition,
        regions=read.scan.regions,
        blood=read.blood,
        image=read.image,
        timeline=read.timeline,
        places=read.places,
    )


def _summarised(read: IngestedScan) -> IngestedScan:
    """The scan with a summary of its image; one that the reader did not summarise is read for it."""
    from dlif_core.ingest.regions import summary_of

    if read.image is not None or read.scan.activity is None:
        return read
    volume = float(read.scan.voxel_size.prod()) if read.scan.affine is not None else float("nan")
    return replace(read, image=summary_of(read.scan.activity, volume, read.places.get("image", "")))


def _without_empty_frames(read: IngestedScan) -> IngestedScan:
    """The scan without frames that were not measured, and the finding that says so."""
    empty = empty_frames(facts_of(read))
    if not empty:
        return read
    listed = ", ".join(str(frame + 1) for frame in empty)
    message = f"frames without any activity, after frames with activity, are left out: {listed}."
    finding = NOT_MEASURED.found(message, where=read.places.get("image", ""))
    return replace(without_frames(read, empty), findings=(*read.findings, finding))


def _with_sound_dose(acquisition: Acquisition, findings: Collection[Finding]) -> Acquisition:
    of_dose, of_weight = withheld(findings, Part.DOSE), withheld(findings, Part.WEIGHT)
    return replace(
        acquisition,
        injected_activity=None if of_dose else acquisition.injected_activity,
        body_weight=None if of_weight else acquisition.body_weight,
        refused=" ".join(str(finding) for finding in (*of_dose, *of_weight)),
    )


def _sound_blood(blood: tuple[BloodRecording, ...], findings: Collection[Finding]) -> tuple[BloodRecording, ...]:
    """The recordings; where a finding rules them out, the arterial ones without samples but with the reason."""
    faults = withheld(findings, Part.BLOOD)
    if not faults:
        return blood
    reason = " ".join(str(fault) for fault in faults)
    return tuple(_refused(recording, reason) if recording.arterial else recording for recording in blood)


def _refused(recording: BloodRecording, reason: str) -> BloodRecording:
    return BloodRecording(recording.name, recording.arterial, [], source=recording.source, refused=reason)  # type: ignore[arg-type]
