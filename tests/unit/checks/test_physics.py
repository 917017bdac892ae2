"""Checks by physics: each fires on data that can't be, names what is wrong, and is silent on sound data.

The sound scan is of a human with [18F]FDG: 70 kg, 200 MBq, 1 h. What it is changed into are faults that people make.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.checks import CHECKS, Finding, ImageSummary, Level, Part, ScanFacts, Timeline
from dlif_core.checks.image import empty_frames
from dlif_core.frames import FrameTiming
from dlif_core.radionuclides import HALF_LIVES
from dlif_core.scan import Acquisition, RegionCurves
from tests.unit.checks.facts import (
    BLOOD,
    BLOOD_TIME,
    DURATION,
    F18,
    START,
    TISSUE,
    at,
    decay_factors,
    fired,
    image_of,
    small_mouse,
    sound,
    with_acquisition,
    with_blood,
    with_frame,
)

FAULTS: dict[str, tuple[ScanFacts, str, str]] = {
    "frame times in minutes": (at(sound(blood=()), 1 / 60), "scan-too-short", "60 s after injection"),
    "minutes, with blood": (at(sound(), 1 / 60), "blood-outlasts-scan", "60 times as long"),
    "frame times in milliseconds": (at(sound(blood=()), 1e3), "scan-too-long", "3600 s"),
    "half-life in minutes": (with_acquisition(half_life=109.77), "scan-too-long", "half-lives"),
    "frames from scan start": (
        sound(timeline=Timeline(scan_start=1800.0)),
        "frames-before-scan",
        "1800 s before the scan",
    ),
    "injection after the scan": (
        sound(timing=FrameTiming(START - 7200, DURATION)),
        "scan-before-injection",
        "3600 s before the injection",
    ),
    "an injection said to be 10 min too late": (
        sound(timing=FrameTiming(START - 600, DURATION), blood=()),
        "active-before-injection",
        "frames from -560 to -300 s, before the injection",
    ),
    "late frame called first": (
        sound(timeline=decay_factors(-3000.0, START + DURATION / 2)),
        "decay-factors",
        "frame 1 (0 to 10 s",
    ),
    "no decay correction called one": (sound(timeline=decay_factors(0.0, 0 * START)), "decay-factors", "by 1;"),
    "factors to the scan's start, time to the injection": (
        replace(
            sound(blood=()),
            timing=FrameTiming(START + 3600, DURATION),
            timeline=replace(decay_factors(0.0, START + DURATION / 2), scan_start=3600.0, decay_reference=0.0),
        ),
        "decay-factors",
        "correct to 3600 s from injection, not to 0 s",
    ),
    "seconds since midnight as time of decay correction": (
        sound(timeline=Timeline(decay_reference=36000.0)),
        "decay-reference",
        "to 36000 s from injection, 5.47 half-lives",
    ),
    "time of decay correction in the wrong direction": (
        sound(timeline=Timeline(decay_reference=-36000.0)),
        "decay-reference",
        "to -36000 s",
    ),
    "two times of decay correction": (
        sound(timeline=Timeline(decay_reference=0.0, decay_scheme=(-3600.0,))),
        "decay-reference",
        "DecayCorrection names -3600 s",
    ),
    "durations in minutes": (
        sound(timing=FrameTiming(START, DURATION / 60), blood=()),
        "frame-durations",
        "1/60",
    ),
    "mid-times as starts": (
        sound(timing=FrameTiming(START + DURATION / 2, DURATION), blood=()),
        "mid-times",
        "begins at 5 s, half of its duration of 10 s",
    ),
    "late acquisition": (sound(timeline=Timeline(acquired_after_series=3000.0)), "acquisition-time", "3000 s after"),
    "weight of a mouse in kg": (small_mouse(10e6, 25.0), "weight-range", "mouse of 25 kg"),
    "weight in g called kg": (with_acquisition(body_weight=70e3), "weight-range", "7e+04 kg"),
    "dose in Bq called MBq": (with_acquisition(injected_activity=2e14), "dose-range", "2e+08 MBq"),
    "dose in MBq called kBq": (with_acquisition(injected_activity=2e5), "dose-range", "0.2 MBq"),
    "mouse dose in MBq called kBq": (small_mouse(10e3), "dose-range", "0.01 MBq"),
    "dose in MBq called mCi": (with_acquisition(injected_activity=7.4e9), "dose-range", "7.4e+03 MBq"),
    "unknown species, dose in Bq called MBq": (
        with_acquisition(injected_activity=2e14, species=""),
        "dose-range",
        "subject of 70 kg",
    ),
    "image in Bq called kBq": (sound(image=image_of(1e3 * TISSUE)), "dose-in-image", "times the injected activity"),
    "a tenth of the activity in a whole mouse": (
        replace(small_mouse(10e6), image=replace(image_of(3e4 + 0 * TISSUE), voxel_volume=0.4)),
        "dose-in-image",
        "never holds more than 0.066 of the injected activity",
    ),
    "image in kBq called Bq": (sound(image=image_of(1e-3 * TISSUE)), "uptake-range", "of the whole body is about 1"),
    "regions in kBq called Bq": (
        sound(image=None, blood=(), regions=RegionCurves(("a",), [1e-3 * TISSUE], [np.nan])),
        "uptake-range",
        "of the median region",
    ),
    "blood in kBq called Bq": (
        with_blood(whole_blood=1e-3 * BLOOD, plasma=1e-3 * BLOOD),
        "tissue-to-blood",
        "times that of blood",
    ),
    "tissue in kBq called Bq": (
        sound(image=None, regions=RegionCurves(("a", "b"), [1e-3 * TISSUE, 2e-3 * TISSUE], [1.0, 1.0])),
        "tissue-to-blood",
        "times that of blood",
    ),
    "plasma in kBq called Bq": (with_blood(plasma=1.1e-3 * BLOOD), "plasma-to-blood", "0.0011 times whole blood"),
    "peak not sampled": (
        sound(blood=(BloodRecording("manual", True, BLOOD_TIME[8:], BLOOD[8:]),)),
        "first-blood-sample",
        "at 300 s",
    ),
    "blood in minutes": (with_blood(time=BLOOD_TIME / 60), "last-blood-sample", "sampled to 60 s only"),
    "metabolites' share": (with_blood(parent_fraction=BLOOD_TIME / 5000), "parent-fraction", "1 − parent fraction"),
    "metabolites' share in percent": (with_blood(parent_fraction=BLOOD_TIME / 50), "parent-fraction", "metabolites"),
    "metabolites' share from .55 on": (
        with_blood(parent_fraction=np.where(BLOOD_TIME < 100, np.nan, 1 - 0.5 * np.exp(-BLOOD_TIME / 1500))),
        "parent-fraction",
        "rise",
    ),
    "an autosampler in another unit than the manual samples": (
        sound(
            blood=(
                BloodRecording("manual", True, BLOOD_TIME[6:], BLOOD[6:], 1.1 * BLOOD[6:]),
                BloodRecording("autosampler", True, BLOOD_TIME[:10], 0.02 * BLOOD[:10]),
            )
        ),
        "blood-recordings",
        "manual is 50 times autosampler",
    ),
    "late samples in another unit": (
        with_blood(plasma=1.1 * BLOOD * np.where(BLOOD_TIME > 900, 1e-3, 1.0)),
        "blood-jump",
        "from 600 s to 1200 s plasma falls",
    ),
    "one sample in another unit": (
        with_blood(whole_blood=None, plasma=BLOOD * np.where(BLOOD_TIME == 1200, 1e3, 1.0)),
        "blood-jump",
        "from 600 s to 1200 s plasma rises",
    ),
    "the second part of a scan in another scale": (
        sound(image=image_of(TISSUE * np.where(START >= 600, 0.2, 1.0))),
        "frame-jump",
        "frames from 9 (600 s) on have 0.2",
    ),
    "a scale of each frame lost": (
        sound(image=replace(image_of(TISSUE), highest=np.where(TISSUE > 0, 32767.0, 0.0))),
        "same-highest",
        "11 of 12 frames have the same highest value, 32767",
    ),
    "clipped where they are highest": (
        sound(image=replace(image_of(TISSUE), highest=np.minimum(4.0 * TISSUE, 65e3))),
        "same-highest",
        "4 of 12 frames",
    ),
    "an image of noise": (
        sound(
            image=ImageSummary(64 * 64 * 40, 64.0, 0.1 + 0 * TISSUE, 1e4 + 0 * TISSUE, -400 + 0 * TISSUE, TISSUE),
            blood=(),
            regions=RegionCurves(("a",), [10 * np.sin(START)], [1.0]),
        ),
        "no-activity",
        "above its noise",
    ),
    "lost samples written as zero": (
        with_blood(plasma=1.1 * BLOOD * (BLOOD_TIME < 1000)),
        "blood-jump",
        "plasma falls from 15400 to 0",
    ),
    "blood by another clock": (with_blood(time=BLOOD_TIME + 120), "blood-start", "no activity in blood up to 120 s"),
    "frames by another clock": (
        sound(timing=FrameTiming(np.append(0, START[1:] + 300), np.append(310, DURATION[1:]))),
        "blood-start",
        "no region up to 310 s",
    ),
    "a table of curves in kBq beside its image": (
        sound(regions=RegionCurves(("a", "b"), [1e-3 * TISSUE, 2e-3 * TISSUE], [1.0, 1.0]), blood=()),
        "regions-to-image",
        "times that of the image",
    ),
    "one region in another unit": (
        sound(regions=RegionCurves(("a", "b", "c"), [TISSUE, TISSUE, 1e-3 * TISSUE], [1.0, 1.0, 1.0])),
        "regions-apart",
        "c (0.001 times)",
    ),
    "an image of zeros": (sound(image=image_of(0 * TISSUE)), "no-activity", "no frame has any activity"),
    "a lost scale factor": (with_frame(9, 8.0), "frame-jump", "frame 10"),
    "a lost value of one region": (
        sound(regions=RegionCurves(("a", "b"), [TISSUE, TISSUE * (START != 600)], [1.0, 1.0])),
        "frame-jump",
        "region 'b' is zero in frame 9",
    ),
    "a sample in another unit": (
        with_blood(plasma=1.1 * BLOOD * np.where(BLOOD_TIME == 1200, 1e-3, 1.0)),
        "blood-jump",
        "at 1200 s plasma is 0.00",
    ),
    "a lost scale factor of the last frame": (with_frame(11, 1 / 8), "frame-jump", "frame 12"),
    "overflow": (
        sound(image=replace(image_of(TISSUE), lowest=np.where(START == 600, -4.0 * TISSUE, 0.0))),
        "wrapped-values",
        "frame 9",
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


SOUND: dict[str, Callable[[], ScanFacts]] = {
    "the scan itself": sound,
    "without blood": lambda: sound(blood=()),
    "without image": lambda: sound(image=None),
    "without dose and weight": lambda: with_acquisition(injected_activity=None, body_weight=None),
    "a mouse": lambda: small_mouse(10e6),
    "the lightest mouse and a high dose": lambda: replace(
        small_mouse(40e6, 0.009), image=replace(image_of(60 * TISSUE), voxel_volume=0.2)
    ),
    "water, 2 min": lambda: sound(
        timing=FrameTiming(np.arange(12) * 10.0, np.full(12, 10.0)),
        acquisition=Acquisition("water", HALF_LIVES["O15"], 1e9, 70.0, species="human"),
        blood=(),
    ),
    "water, 60 s and 90 s": lambda: sound(
        timing=FrameTiming(np.arange(12) * 5.0, np.full(12, 5.0)),
        acquisition=Acquisition("water", HALF_LIVES["O15"], 1e9, 70.0, species="human"),
        blood=(),
    ),
    "an infant with the least dose that a scanner needs": lambda: sound(
        acquisition=Acquisition("FDG", F18, 26e6, 1.2, species="human"),
        image=replace(image_of(5 * TISSUE), voxel_volume=2.0),
        blood=(),
    ),
    "rubidium": lambda: sound(
        timing=FrameTiming(np.arange(12) * 20.0, np.full(12, 20.0)),
        acquisition=Acquisition("Rb82", HALF_LIVES["Rb82"], 2.2e9, 50.0, species="human"),
        blood=(),
    ),
    "frames with pauses": lambda: sound(timing=FrameTiming(5 * START, DURATION), blood=()),
    "two parts with hours between": lambda: sound(
        timing=FrameTiming(START + np.where(START < 600, 0, 7200), DURATION), blood=()
    ),
    "decay correction to the start of a late scan": lambda: sound(
        timing=FrameTiming(START + 3600, DURATION),
        timeline=Timeline(scan_start=3600.0, decay_reference=3600.0, decay_scheme=(3600.0,)),
        blood=(),
    ),
    "decay correction to the assay of the dose": lambda: sound(timeline=Timeline(decay_reference=-3600.0)),
    "frames of one length that begin late": lambda: sound(
        timing=FrameTiming(5 + np.arange(12) * 10.0, np.full(12, 10.0)),
        acquisition=Acquisition("water", HALF_LIVES["O15"], 1e9, 70.0, species="human"),
        blood=(),
    ),
    "a cold region of a mouse with a full bladder": lambda: sound(
        image=replace(image_of(5 * TISSUE), voxel_volume=0.2),
        regions=RegionCurves(("brain",), [TISSUE], [1.0]),
        blood=(),
    ),
    "a static scan of one minute": lambda: sound(
        timing=FrameTiming([3000.0], [60.0]), image=image_of(TISSUE[-1:]), blood=(), regions=_static()
    ),
    "decay factors of frame means": lambda: sound(timeline=decay_factors(0.0, START + 0.49 * DURATION)),
    "decay factors of frame starts from scan start": lambda: sound(timeline=decay_factors(0.0, START)),
    "decay factors to scan start, injection earlier": lambda: replace(
        sound(), timing=FrameTiming(START + 900, DURATION), timeline=decay_factors(0.0, START + DURATION / 2)
    ),
    "scan 30 min after injection": lambda: sound(
        timing=FrameTiming(START + 1800, DURATION), timeline=Timeline(scan_start=1800.0)
    ),
    "late acquisition with late frames": lambda: sound(
        timing=FrameTiming(START + 3000, DURATION), timeline=Timeline(acquired_after_series=3000.0), blood=()
    ),
    "frames before the injection": lambda: sound(timing=FrameTiming(START - 60, DURATION)),
    "first sample at 58 s with most of the activity": lambda: sound(
        blood=(BloodRecording("manual", True, BLOOD_TIME[5:], BLOOD[5:], 1.3 * BLOOD[5:]),)
    ),
    "blood that clears fast, sampled sparsely": lambda: sound(
        blood=(BloodRecording("manual", True, BLOOD_TIME, np.where(BLOOD_TIME > 200, 0.1, 1.0) * BLOOD),)
    ),
    "late samples at the background": lambda: sound(
        blood=(BloodRecording("manual", True, BLOOD_TIME, BLOOD * np.where(BLOOD_TIME == 2700, 1e-4, 1.0)),)
    ),
    "an autosampler calibrated 20 % too low": lambda: sound(
        blood=(
            BloodRecording("manual", True, BLOOD_TIME[6:], BLOOD[6:], 1.1 * BLOOD[6:]),
            BloodRecording("autosampler", True, BLOOD_TIME[:10], 0.8 * BLOOD[:10]),
        )
    ),
    "a mouse that lost half of its activity": lambda: replace(
        small_mouse(10e6), image=replace(image_of(2e5 + 0 * TISSUE + START), voxel_volume=0.4)
    ),
    "two frames that happen to agree": lambda: sound(
        image=replace(image_of(TISSUE), highest=np.minimum(4.0 * TISSUE, 92e3))
    ),
    "a tracer that has washed out after a pause": lambda: sound(
        timing=FrameTiming(START + np.where(START < 600, 0, 3600), DURATION),
        image=image_of(TISSUE * np.where(START >= 600, 0.2, 1.0)),
        blood=(),
    ),
    "a little activity in a large image": lambda: sound(
        image=ImageSummary(64 * 64 * 40, 64.0, 2.0 + 0 * TISSUE, 2e4 + 0 * TISSUE, -400 + 0 * TISSUE, TISSUE),
        regions=RegionCurves(("a",), [TISSUE], [1.0]),
    ),
    "water, 90 s": lambda: sound(
        timing=FrameTiming(np.arange(12) * 7.5, np.full(12, 7.5)),
        acquisition=Acquisition("water", HALF_LIVES["O15"], 1e9, 70.0, species="human"),
        blood=(),
    ),
    "a rat pup": lambda: replace(
        small_mouse(1e6, 0.014), acquisition=Acquisition("FDG", F18, 10e6, 0.014, species="rat")
    ),
    "blood to a quarter of the scan": lambda: sound(
        blood=(BloodRecording("manual", True, BLOOD_TIME[:10], BLOOD[:10], 1.1 * BLOOD[:10]),)
    ),
    "blood drawn 20 s late": lambda: with_blood(time=BLOOD_TIME + 20),
    "blood drawn from 5 min on of a slow infusion": lambda: with_blood(
        time=BLOOD_TIME[:9] * 12, whole_blood=1e3 * np.arange(9), plasma=1.1e3 * np.arange(9), parent_fraction=None
    ),
    "venous blood in another unit": lambda: sound(blood=(BloodRecording("venous", False, BLOOD_TIME, 1e-3 * BLOOD),)),
    "a refused recording": lambda: sound(blood=(BloodRecording("manual", True, np.empty(0), refused="no unit"),)),
    "one parent fraction": lambda: with_blood(parent_fraction=np.where(BLOOD_TIME == 600, 0.3, np.nan)),
    "parent fractions that rise at first": lambda: with_blood(
        parent_fraction=np.interp(BLOOD_TIME, [0, 60, 3600], [0.9, 0.97, 0.2])
    ),
    "noise below zero in all frames": lambda: sound(image=image_of(TISSUE, lowest=-3.9)),
    "an empty first frame": lambda: sound(image=image_of(TISSUE)),
    "bolus that leaves the field of view": lambda: with_frame(2, 8.0),
}


def _static() -> RegionCurves:
    return RegionCurves(("a",), [TISSUE[-1:]], [1.0])


@pytest.mark.parametrize("case", SOUND, ids=str)
def test_sound_data_are_not_doubted(case: str) -> None:
    assert fired(SOUND[case]()) == {}


def test_frames_that_were_not_measured() -> None:
    level = TISSUE.copy()
    level[[0, 6, 11]] = 0.0
    assert empty_frames(sound(image=image_of(level))) == [6, 11]
    assert empty_frames(sound(image=None, regions=RegionCurves(("a",), [level], [1.0]))) == [6, 11]
    assert empty_frames(sound(image=image_of(0 * TISSUE))) == []
    assert empty_frames(sound()) == []


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.name)
def test_every_check_can_be_read(check: object) -> None:
    name, tests, remedy = check.name, check.tests, check.remedy  # type: ignore[attr-defined]
    assert name == name.lower()
    for sentence in (tests, remedy):
        assert sentence[0].isupper()
        assert sentence.endswith(".")


def test_levels_and_parts_are_told_in_the_advice() -> None:
    doubt = fired(with_acquisition(injected_activity=2e14))["dose-range"]
    assert (doubt.level, doubt.part) == (Level.DOUBTFUL, Part.DOSE)
    assert "accept: [dose-range]" in str(doubt)
    assert "accept" not in str(replace(doubt, accepted=True))
    assert Finding.from_record(doubt.as_record()) == doubt
