"""Where the truth of a simulated cohort lies; found without importing what simulates."""

from __future__ import annotations

from pathlib import Path

from dlif_core.storage import is_file, joined


def truth_stem(root: str | Path, scan_id: str) -> Path:
    """Path that the names of all files with the truth of a scan begin with."""
    return Path(root) / "derivatives" / "phantom" / scan_id.split("_")[0] / "pet" / f"{scan_id}_desc-truth"


def has_truth(root: str | Path, scan_id: str) -> bool:
    """Whether a data set at a path or URL holds the truth of a scan."""
    return is_file(joined(str(root), f"{truth_stem('', scan_id).as_posix()}_kinetics.json"))
