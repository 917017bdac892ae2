"""The checks of data, applied to what a caller gives as a table or an array."""

from __future__ import annotations

from collections.abc import Collection

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.scan import DynamicScan


def checked(
    scan: DynamicScan, blood: tuple[BloodRecording, ...], accept: Collection[str]
) -> tuple[DynamicScan, tuple[BloodRecording, ...], tuple[str, ...]]:
    """Check region curves with their blood, as a study checks a scan.

    Parameters
    ----------
    scan
        A scan of region curves.
    blood
        Blood recordings of the scan.
    accept
        Names of checks whose doubts are accepted.

    Returns
    -------
    Scan and blood without what the checks rule out, and warnings of what they found.

    Raises
    ------
    ConfigurationError
        If a name in `accept` is none of a check of data that can be doubtful.
    InputError
        If a check rules out the scan.
    """
    from dlif_core.checks import require_doubts
    from dlif_core.ingest.examination import examined
    from dlif_core.ingest.reader import IngestedScan

    where = scan.regions.source
    places = dict.fromkeys(("frames", "dose", "weight", "image", "regions"), where)
    files = {"blood": ", ".join(recording.source for recording in blood)}
    found = examined(IngestedScan(scan, blood, places=places | files), require_doubts(accept))
    return found.scan, found.blood, tuple(finding.told for finding in found.findings)
