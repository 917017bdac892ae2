"""Names of regions that a format has no room for, or uses itself."""

from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from dlif_core.errors import InputError
from dlif_core.export.bids import BIDS
from dlif_core.export.dicom import DICOM
from dlif_core.export.exporter import Exporter
from dlif_core.export.pmod import PMOD
from dlif_core.export.products import ExportedScan
from dlif_core.scan import RegionCurves
from tests.unit.export.products import exported_scan, exported_study


def named(*names: str) -> ExportedScan:
    scan = exported_scan().scan
    regions = RegionCurves(names, scan.regions.activity, scan.regions.volume)
    return exported_scan(scan=replace(scan, regions=regions, label_names=dict(zip((3, 7), names, strict=True))))


@pytest.mark.parametrize(
    ("exporter", "names"),
    [(PMOD, ("a b", "a  b")), (PMOD, ("a", "start[seconds]")), (BIDS, ("a", "frame_end"))],
)
def test_no_region_takes_the_place_of_another_column(tmp_path: Path, exporter: Exporter, names: tuple[str]) -> None:
    with pytest.raises(InputError, match="two columns would be called"):
        exporter.export(exported_study(named(*names)), tmp_path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Großhirn/links", "=cmd"), ["Großhirn/links", "=cmd"]),
        (("a\\b", "c\nd"), ["a b", "c d"]),
        ((70 * "x" + "1", 70 * "x" + "2"), [50 * "x" + " [3]", 50 * "x" + " [7]"]),
    ],
)
def test_every_segment_has_a_name_of_its_own(tmp_path: Path, names: tuple[str], expected: list[str]) -> None:
    DICOM.export(exported_study(named(*names)), tmp_path)
    (path,) = tmp_path.rglob("segmentation.dcm")
    assert [segment.SegmentLabel for segment in pydicom.dcmread(path).SegmentSequence] == expected
