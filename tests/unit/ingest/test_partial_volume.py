"""Partial-volume correction: phantoms blurred by SimpleITK on a fine grid are recovered."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlif_core.checks import Timeline
from dlif_core.errors import ConfigurationError, ImageError
from dlif_core.frames import FrameTiming
from dlif_core.ingest.corrections import Corrections, corrected
from dlif_core.ingest.groups import with_groups
from dlif_core.ingest.kept_frames import without_frames
from dlif_core.ingest.partial_volume import PartialVolume, blurred, transfer_matrix
from dlif_core.ingest.reader import IngestedScan
from dlif_core.ingest.regions import label_means, region_curves
from dlif_core.scan import Acquisition, DynamicScan
from dlif_core.study.config import parse_study
from dlif_core.study.stages.base import ScanPlan
from dlif_core.study.stages.ingest import INGEST
from tests.unit.ingest.bids.dataset import make_dataset

sitk = pytest.importorskip("SimpleITK")

FINE = 5
#: Edges of a voxel and width of the point-spread function along z, y, x [mm].
EDGES, FWHM = np.array([2.0, 1.5, 1.8]), np.array([5.0, 4.0, 3.0])
AFFINE = np.diag([-EDGES[2], EDGES[1], EDGES[0], 1.0])
#: Activity by label, shape (labels, frames) [Bq/mL].
TRUE = np.array([[100.0, 50.0], [5000.0, 900.0], [300.0, 2500.0], [4000.0, 4000.0]])
NAMES = {2: "sphere", 5: "box", 9: "core"}


def labels() -> np.ndarray:
    """A sphere beside a box that holds another region."""
    z, y, x = np.mgrid[:16, :18, :20]
    found = np.zeros((16, 18, 20), np.int32)
    found[(z - 8) ** 2 + (y - 9) ** 2 + (x - 5) ** 2 < 13] = 2
    found[4:12, 4:13, 9:17] = 5
    found[7:10, 7:11, 12:15] = 9
    return found


def seen() -> np.ndarray:
    """The phantom as the scanner sees it at the centres of the voxels, shape (frames, z, y, x)."""
    number = np.searchsorted([0, *NAMES], labels())
    fine = number.repeat(FINE, 0).repeat(FINE, 1).repeat(FINE, 2)
    frames = []
    for values in TRUE.T:
        image = sitk.GetImageFromArray(values[fine])
        image.SetSpacing((EDGES[::-1] / FINE).tolist())
        variance = ((FWHM[::-1] / np.sqrt(8 * np.log(2))) ** 2).tolist()
        blur = sitk.DiscreteGaussian(image, variance, 201, 1e-4, True)
        frames.append(sitk.GetArrayFromImage(blur)[(slice(FINE // 2, None, FINE),) * 3])
    return np.array(frames)


def scan(image: np.ndarray, found: np.ndarray | None) -> IngestedScan:
    means = label_means(image, np.ones(image.shape[1:], np.int32) if found is None else found, EDGES.prod(), "image")
    curves, _ = region_curves(means, {1: "whole image"} if found is None else NAMES, EDGES.prod(), "labels")
    made = DynamicScan(
        FrameTiming([0, 60], [60, 60]),
        Acquisition("FDG", 6586.2),
        curves,
        image,
        AFFINE,
        found,
        NAMES if found is not None else {},
    )
    return IngestedScan(made, (), image=means.image, timeline=Timeline())


@pytest.fixture(scope="module")
def measured() -> IngestedScan:
    return scan(seen(), labels())


def options(**more: Any) -> Corrections:
    return Corrections(partial_volume=PartialVolume(fwhm=tuple(FWHM[::-1]), **more))


def test_the_blur_is_that_of_simpleitk(measured: IngestedScan) -> None:
    number = np.searchsorted([0, *NAMES], labels())
    sigma = PartialVolume(fwhm=tuple(FWHM[::-1])).sigma(EDGES)
    np.testing.assert_allclose(blurred(TRUE[number, 0], sigma), measured.scan.activity[0], atol=0.003 * TRUE.max())


def test_region_curves_are_recovered(measured: IngestedScan) -> None:
    lost = np.abs(measured.scan.regions.activity / TRUE[1:] - 1)
    assert lost.max(axis=1).min() > 0.1
    with corrected(measured, options()) as made:
        np.testing.assert_allclose(made.scan.regions.activity, TRUE[1:], rtol=0.01)
        assert made.scan.regions.names == measured.scan.regions.names
        assert made.uncorrected is measured.scan.regions
        assert made.scan.activity is measured.scan.activity
        (finding,) = made.findings
        assert "FWHM 3 × 4 × 5 mm" in finding.message
        assert made.provenance["partial volume"]["method"] == "gtm"


def test_the_image_is_recovered_voxel_by_voxel(measured: IngestedScan) -> None:
    number = np.searchsorted([0, *NAMES], labels())
    with corrected(measured, options(method="rbv")) as made:
        np.testing.assert_allclose(made.scan.regions.activity, TRUE[1:], rtol=0.01)
        for frame, truth in enumerate(TRUE.T):
            np.testing.assert_allclose(made.scan.activity[frame], truth[number], rtol=0.02, atol=5)
        assert made.image.highest[0] == pytest.approx(TRUE[:, 0].max(), rel=0.02)


def test_a_homogeneous_image_stays_as_it_is() -> None:
    flat = scan(np.full((2, 16, 18, 20), 700.0, np.float32), labels())
    with corrected(flat, options(method="rbv")) as made:
        np.testing.assert_allclose(made.scan.regions.activity, 700, rtol=1e-6)
        np.testing.assert_allclose(made.scan.activity[...], 700, rtol=1e-6)


def test_rows_of_the_transfer_matrix_sum_to_one_and_a_sharp_image_needs_none() -> None:
    numbers = np.array([0, *NAMES], np.int32)
    wide = transfer_matrix(labels(), numbers, np.array([2.0, 2.5, 1.5]))
    np.testing.assert_allclose(wide.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(transfer_matrix(labels(), numbers, np.full(3, 0.01)), np.eye(4), atol=1e-12)


def test_groups_and_left_out_frames_count_for_measured_curves_too(measured: IngestedScan) -> None:
    with corrected(measured, options()) as made:
        grouped = without_frames(with_groups(made, {"all": ("box", "core")}), [0])
        of_measured = without_frames(with_groups(measured, {"all": ("box", "core")}), [0])
    np.testing.assert_allclose(grouped.uncorrected.activity, of_measured.scan.regions.activity)
    assert grouped.uncorrected.names == grouped.scan.regions.names


def test_a_scan_without_label_image_is_refused(measured: IngestedScan) -> None:
    plain = scan(np.asarray(measured.scan.activity), None)
    without = IngestedScan(
        DynamicScan(plain.scan.timing, plain.scan.acquisition, plain.scan.regions, plain.scan.activity, AFFINE), ()
    )
    with pytest.raises(ImageError, match="no label image"), corrected(without, options()):
        pass


def test_regions_that_melt_into_each_other_are_refused() -> None:
    checkered = (np.indices((6, 6, 6)).sum(axis=0) % 2 * 3 + 2).astype(np.int32)
    mixed = scan(np.ones((2, 6, 6, 6), np.float32), np.where(checkered == 5, 5, 2).astype(np.int32))
    with pytest.raises(ImageError, match="so small"), corrected(mixed, Corrections(PartialVolume(fwhm=20))):
        pass


class TestStudy:
    def config(self, root: Path, **regions: Any) -> Any:
        content = {"name": "a", "data": "data", "output": "out", "regions": regions}
        return parse_study(content, where=str(root / "study.yaml"))

    def test_a_changed_width_makes_the_ingested_scan_stale(self, tmp_path: Path) -> None:
        from dlif_core.study.scans import included_scans

        make_dataset(tmp_path / "data")
        fingerprints = []
        for regions in ({}, {"partial_volume": {"fwhm": 4}}, {"partial_volume": {"fwhm": [4, 4, 5]}}):
            config = self.config(tmp_path, **regions)
            (files,) = included_scans(config).values()
            (step,) = INGEST.steps(ScanPlan(config, files, dict.fromkeys(files.inputs().values(), "digest")))
            fingerprints.append(step.fingerprint)
            assert ("partial" in str(step.fingerprint.parts)) == bool(regions)
        assert len({fingerprint.digest for fingerprint in fingerprints}) == 3

    @pytest.mark.parametrize("wrong", [{"fwhm": 0}, {"fwhm": [4, 5]}, {}, {"fwhm": 4, "method": "lucy"}])
    def test_what_cannot_be_meant_is_refused(self, tmp_path: Path, wrong: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match="partial_volume"):
            self.config(tmp_path, partial_volume=wrong)
