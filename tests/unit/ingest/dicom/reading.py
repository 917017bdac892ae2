"""What the reader makes of a folder, for tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlif_core.ingest import ScanFiles, ScanSource
from dlif_core.ingest.conversion import ConvertingReader
from dlif_core.ingest.described import SeriesOptions
from dlif_core.ingest.dicom.series_format import DicomFormat

READER = ConvertingReader(DicomFormat())


@dataclass
class Described:
    """A description with its image read."""

    fields: dict[str, Any]
    image: np.ndarray
    affine: np.ndarray
    checks: list[str]
    messages: list[str]


def found(root: Path, table: str = "") -> list[ScanFiles]:
    """Scans below a folder."""
    return READER.find(ScanSource(str(root), SeriesOptions(table=table)))


def described(root: Path, table: str = "") -> Described:
    """The description of the only scan below a folder."""
    (files,) = found(root, table)
    return described_scan(files)


def described_scan(files: ScanFiles) -> Described:
    """The description of a scan."""
    with READER.described(files) as scan:
        assert scan.image is not None
        image = np.full(scan.image.shape, np.nan, np.float32)
        scan.image.fill(image)
        findings = scan.findings
        return Described(
            dict(scan.fields),
            image,
            np.asarray(scan.image.affine),
            [one.check for one in findings],
            [str(one) for one in findings],
        )
