"""The checks applied to a scan that a reader has opened, and what of the scan is left."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.checks import Finding, ImageSummary, Part, ScanFacts, examine, judged, require_usable, withheld
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
    """What the checks look at; an image that the reader did not summarise is read for it."""
    return ScanFacts(
        timing=read.scan.timing,
        acquisition=read.scan.acquisition,
        regions=read.scan.regions,
        blood=read.blood,
        image=_summary(read),
        timeline=read.timeline,
        places=read.places,
    )


def _summary(read: IngestedScan) -> ImageSummary | None:
    from dlif_core.ingest.regions import summary_of

    if read.image is not None or read.scan.activity is None:
        return read.image
    volume = float(read.scan.voxel_size.prod()) if read.scan.affine is not None else float("nan")
    return summary_of(read.scan.activity, volume, read.places.get("image", ""))


def _with_sound_dose(acquisition: Acquisition, findings: Collection[Finding]) -> Acquisition:
    if withheld(findings, Part.DOSE):
        acquisition = replace(acquisition, injected_activity=None)
    if withheld(findings, Part.WEIGHT):
        acquisition = replace(acquisition, body_weight=None)
    return acquisition


def _sound_blood(blood: tuple[BloodRecording, ...], findings: Collection[Finding]) -> tuple[BloodRecording, ...]:
    """The recordings; where a finding rules them out, the arterial ones without samples but with the reason."""
    faults = withheld(findings, Part.BLOOD)
    if not faults:
        return blood
    reason = " ".join(str(fault) for fault in faults)
    return tuple(_refused(recording, reason) if recording.arterial else recording for recording in blood)


def _refused(recording: BloodRecording, reason: str) -> BloodRecording:
    return BloodRecording(recording.name, recording.arterial, [], source=recording.source, refused=reason)  # type: ignore[arg-type]
