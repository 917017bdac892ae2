"""Opening the only scan of a dataset as its reader does, unchecked: for what a scan holds and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from dlif_core.errors import DlifError
from dlif_core.ingest import IngestedScan, ScanFiles, find_scans
from dlif_core.ingest.bids.scan import open_scan
from dlif_core.ingest.groups import with_groups
from tests.unit.ingest.bids.dataset import voxels

ACTIVITY = voxels().T * 0.5 * 1000.0  # slope .5, kBq/mL; (frame, z, y, x)


def ingest(root: Path | str, groups: dict[str, tuple[str, ...]] | None = None) -> IngestedScan:
    """Open the only scan; what is returned holds no open file, the image aside."""
    (files,) = find_scans(str(root))
    return opened(files, groups)


def opened(files: ScanFiles, groups: dict[str, tuple[str, ...]] | None = None) -> IngestedScan:
    """Open a scan; that it has no regions but the whole image, as most here, is left out of its findings."""
    with open_scan(files) as ingested:
        findings = tuple(finding for finding in ingested.findings if finding.check != "whole-image")
        return with_groups(replace(ingested, findings=findings), groups or {})


def fault(root: Path, kind: type[DlifError], *words: str) -> DlifError:
    """Open the only scan, which must fail with all these words, naming a file and a remedy."""
    with pytest.raises(kind) as caught:
        ingest(root)
    error = caught.value
    assert type(error) is kind
    assert str(root) in error.where
    assert error.hint or "faults" in error.message
    for word in words:
        assert word in str(error)
    return error
