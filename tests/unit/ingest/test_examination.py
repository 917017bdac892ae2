"""What is left of a scan when its findings have been judged."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from dlif_core.blood_samples.merge import merge
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.checks import Check, Level, Part, RefusedScanError
from dlif_core.errors import BloodError
from dlif_core.frames import FrameTiming
from dlif_core.ingest.examination import examined
from dlif_core.ingest.kept_frames import KeptFrames
from dlif_core.ingest.reader import IngestedScan
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

TIME = np.array([0.0, 20, 40, 60, 120, 600, 1200])
PLASMA = np.array([0.0, 8e4, 5e4, 3e4, 2e4, 1e4, 8e3])


def doubt(part: Part, level: Level = Level.DOUBTFUL) -> Check:
    return Check("tissue-to-blood", level, part, "It holds.", "Mend it.")


def read(*checks: Check, image: np.ndarray | None = None) -> IngestedScan:
    frames = 4 if image is None else len(image)
    return IngestedScan(
        scan=DynamicScan(
            timing=FrameTiming(300.0 * np.arange(frames), np.full(frames, 300.0)),
            acquisition=Acquisition("FDG", 6586.2, 200e6, 70.0),
            regions=RegionCurves(("a",), [np.full(frames, 9e3)], [1.0]),
            activity=image,
            affine=None if image is None else np.diag([4.0, 4, 4, 1]),
        ),
        blood=(
            BloodRecording("manual", True, TIME, plasma=PLASMA),
            BloodRecording("venous", False, TIME, plasma=PLASMA),
        ),
        findings=tuple(check.found("It is odd.", where="file") for check in checks),
    )


class TestWithheld:
    def test_nothing_of_a_sound_scan(self) -> None:
        scan = read()
        assert examined(scan).findings == ()
        assert examined(scan).scan.acquisition == scan.scan.acquisition
        assert examined(scan).blood == scan.blood

    def test_dose_and_weight_one_by_one(self) -> None:
        left = examined(read(doubt(Part.DOSE))).scan.acquisition
        assert (left.injected_activity, left.body_weight) == (None, 70.0)
        assert left.refused.startswith("file: It is odd. Mend it.")
        left = examined(read(doubt(Part.WEIGHT))).scan.acquisition
        assert (left.injected_activity, left.body_weight) == (200e6, None)

    def test_arterial_samples_with_the_reason(self) -> None:
        arterial, venous = examined(read(doubt(Part.BLOOD))).blood
        assert len(arterial.time) == 0
        assert len(venous.time) == len(TIME)
        with pytest.raises(BloodError, match=r"It is odd\. Mend it\."):
            merge([arterial, venous])

    def test_the_scan_with_all_findings(self) -> None:
        with pytest.raises(RefusedScanError, match=r"It is odd\. Mend it\.") as caught:
            examined(read(doubt(Part.DOSE), doubt(Part.SCAN)))
        assert [finding.part for finding in caught.value.findings] == [Part.DOSE, Part.SCAN]

    def test_several_reasons_are_all_told(self) -> None:
        with pytest.raises(RefusedScanError, match=r"2 faults: \(1\) .*\(2\)"):
            examined(read(doubt(Part.SCAN), doubt(Part.SCAN, Level.REFUSED)))

    def test_what_is_only_assumed_or_repaired_withholds_nothing(self) -> None:
        scan = examined(read(doubt(Part.SCAN, Level.ASSUMED), doubt(Part.DOSE, Level.REPAIRED)))
        assert scan.scan.acquisition.injected_activity == 200e6
        assert scan.warnings == ("It is odd.", "It is odd.")


class TestAccepted:
    def test_a_doubt_is_passed_over_and_stays_on_record(self) -> None:
        scan = examined(read(doubt(Part.SCAN)), accept=["tissue-to-blood"])
        assert [finding.accepted for finding in scan.findings] == [True]

    def test_a_refusal_can_not_be_accepted(self) -> None:
        with pytest.raises(RefusedScanError):
            examined(read(doubt(Part.SCAN, Level.REFUSED)), accept=["tissue-to-blood"])

    def test_another_doubt_is_not_accepted(self) -> None:
        with pytest.raises(RefusedScanError):
            examined(read(doubt(Part.SCAN)), accept=["dose-range"])


def test_a_refusal_travels_between_processes() -> None:
    with pytest.raises(RefusedScanError) as caught:
        examined(read(doubt(Part.SCAN)))
    there = pickle.loads(pickle.dumps(caught.value))
    assert str(there) == str(caught.value)
    assert there.findings == caught.value.findings


class TestFramesThatWereNotMeasured:
    def image(self) -> np.ndarray:
        image = np.random.default_rng(0).uniform(1e3, 2e3, (6, 3, 4, 5)).astype(np.float32)
        image[[0, 3, 5]] = 0.0
        return image

    def test_are_left_out_everywhere(self) -> None:
        image = self.image()
        scan = examined(read(image=image))
        kept = [0, 1, 2, 4]
        assert scan.scan.timing.start.tolist() == [0.0, 300, 600, 1200]
        assert scan.scan.regions.activity.shape == (1, 4)
        assert scan.image is not None
        assert scan.image.mean.tolist() == pytest.approx(image[kept].mean(axis=(1, 2, 3), dtype=float))
        assert scan.scan.activity is not None
        np.testing.assert_array_equal(scan.scan.activity[...], image[kept])
        assert "4, 6" in scan.warnings[0]

    @pytest.mark.parametrize(
        "key",
        [
            np.s_[:],
            np.s_[1],
            np.s_[-1],
            np.s_[..., 2],
            np.s_[:, 1:2],
            np.s_[1:3, :, 0:2, 3],
            np.s_[2:2],
            np.s_[::2, 1],
            np.s_[:, 1:3, :, 0],
        ],
        ids=str,
    )
    def test_blocks_are_those_of_the_image_without_them(self, key: object) -> None:
        image = self.image()
        kept = np.array([0, 1, 2, 4])
        np.testing.assert_array_equal(KeptFrames(image, kept)[key], image[kept][key])

    def test_a_doubt_about_the_rest_is_still_seen(self) -> None:
        image = self.image()
        image[2] *= 50
        with pytest.raises(RefusedScanError, match="frame 3"):
            examined(replace(read(image=image), findings=()))
