"""Checks of damaged numbers: samples, voxels and frames that can't be, and samples by another clock."""

from dataclasses import replace

import numpy as np
import pytest

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.checks import CHECKS, ScanFacts
from dlif_core.scan import RegionCurves
from tests.unit.checks.facts import BLOOD, BLOOD_TIME, START, TISSUE, fired, image_of, sound, with_blood, with_frame
from tests.unit.checks.test_physics import FAULTS as OF_PHYSICS

FAULTS: dict[str, tuple[ScanFacts, str, str]] = {
    "an early sample in another unit": (
        with_blood(time=BLOOD_TIME, plasma=None, whole_blood=BLOOD * np.where(BLOOD_TIME == 30, 1e3, 1.0)),
        "blood-jump",
        "at 30 s whole blood is 1.29e+03 times",
    ),
    "a clock that is 10 min late": (
        with_blood(time=BLOOD_TIME - 600),
        "sample-times",
        "manual: samples from 600 s to 30 s before the injection hold 100%",
    ),
    "a clock of the day": (
        with_blood(time=BLOOD_TIME + 4000),
        "sample-times",
        "the first sample is at 4000 s; the scan ends at 3600 s",
    ),
    "an autosampler in minutes": (
        sound(blood=(BloodRecording("autosampler", True, np.arange(300) / 60, np.linspace(9e4, 9e3, 300)),)),
        "sample-times",
        "300 samples are 0.017 s apart (median)",
    ),
    "a voxel far below zero": (
        sound(image=replace(image_of(TISSUE), lowest=np.where(START == 600, -1e30, 0.0))),
        "activity-range",
        "frame 9 holds values from -1e+30",
    ),
    "a region of no activity that can be": (
        sound(image=None, regions=RegionCurves(("a", "b"), [TISSUE, 1e8 * TISSUE], [1.0, 1.0])),
        "activity-range",
        "frame 2 holds values from 2e+03 to 2e+11 Bq/mL",
    ),
    "a lost scale factor of an early frame": (with_frame(5, 1e-3), "frame-jump", "frame 6 (120 to 180 s) has 0.0009"),
    "a frame turned negative": (with_frame(9, -0.3), "frame-jump", "the mean of frame 10 is below zero, -2e+03"),
    "a last frame turned negative": (with_frame(11, -1.0), "frame-jump", "frame 12 is below zero"),
    "the first late frame in another unit": (with_frame(6, 1e3), "frame-jump", "frame 7 (180 to 300 s)"),
    "an early frame in another unit": (with_frame(3, 1e3), "frame-jump", "frame 4 (40 to 60 s)"),
    "one of two regions in another unit": (
        sound(regions=RegionCurves(("a", "b"), [3e-3 * TISSUE, TISSUE], [1.0, 1.0])),
        "regions-apart",
        "a (0.006 times)",
    ),
}


@pytest.mark.parametrize("case", FAULTS, ids=str)
def test_a_fault_is_found_and_told(case: str) -> None:
    facts, check, words = FAULTS[case]
    found = fired(facts)
    assert check in found, found
    assert words in found[check].message
    assert found[check].withholds
    assert found[check].where.endswith(" file")
    assert found[check].remedy


SOUND: dict[str, ScanFacts] = {
    "noise before the bolus": sound(image=image_of(np.array([300, 5, 6e3, *TISSUE[3:]]))),
    "a bolus in the field of view": sound(image=image_of(np.array([0, 40, 4e5, 3e4, 9e3, *TISSUE[5:]]))),
    "noise below zero": sound(image=image_of(TISSUE, lowest=-3.0)),
    "blood from before the injection on": with_blood(time=BLOOD_TIME - 20),
    "a second peak of a few times": with_blood(whole_blood=BLOOD * np.where(BLOOD_TIME == 90, 5.0, 1.0), plasma=None),
}


@pytest.mark.parametrize("case", SOUND, ids=str)
def test_what_can_be_is_not_doubted(case: str) -> None:
    assert not {"sample-times", "blood-jump", "activity-range", "frame-jump"} & set(fired(SOUND[case]))


def test_every_check_by_physics_has_a_fault() -> None:
    tried = {check for _, check, _ in (*FAULTS.values(), *OF_PHYSICS.values())}
    assert {check.name for check in CHECKS.values() if check.inspect} == tried
