"""A sound scan as the checks see it, and ways to spoil it: a human with [18F]FDG, 70 kg, 200 MBq, 1 h."""

from dataclasses import replace

import numpy as np

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.checks import ImageSummary, ScanFacts, Timeline
from dlif_core.frames import FrameTiming
from dlif_core.radionuclides import HALF_LIVES
from dlif_core.scan import Acquisition, RegionCurves

DURATION = np.array([10, 10, 20, 20, 60, 60, 120, 300, 600, 600, 900, 900.0])
START = np.append(0.0, np.cumsum(DURATION)[:-1])
TISSUE = 1e3 * np.array([0, 2, 5, 7, 8, 9, 11, 14, 17, 20, 23, 25.0])
BLOOD_TIME = np.array([0, 10, 20, 30, 45, 60, 90, 120, 300, 600, 1200, 1800, 2700, 3600.0])
BLOOD = 1e3 * np.array([0, 5, 60, 90, 70, 50, 40, 30, 20, 14, 9, 7, 5, 4.0])
F18 = HALF_LIVES["F18"]


def sound(**changes: object) -> ScanFacts:
    facts = ScanFacts(
        timing=FrameTiming(START, DURATION),
        acquisition=Acquisition("FDG", F18, 200e6, 70.0, species="human"),
        regions=RegionCurves(("cortex", "white matter"), [TISSUE, 0.4 * TISSUE], [9e3, 4e3], "labels"),
        blood=(BloodRecording("manual", True, BLOOD_TIME, BLOOD, 1.1 * BLOOD, 1 - BLOOD_TIME / 6000),),
        image=image_of(TISSUE),
        places={name: f"{name} file" for name in ("frames", "decay", "dose", "weight", "image", "regions", "blood")},
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def image_of(level: np.ndarray, *, highest: float = 4.0, lowest: float = 0.0) -> ImageSummary:
    """An image of 64 × 64 × 40 voxels of 4 mm, a third of it tissue of one level."""
    return ImageSummary(64 * 64 * 40, 64.0, level / 3, level**2 / 3, lowest * level, highest * level)


def at(facts: ScanFacts, factor: float) -> ScanFacts:
    """The scan with frame times in another unit, taken for seconds."""
    return replace(facts, timing=FrameTiming(START * factor, DURATION * factor))


def with_blood(**columns: object) -> ScanFacts:
    return sound(blood=(replace(sound().blood[0], **columns),))  # type: ignore[arg-type]


def with_acquisition(**changes: object) -> ScanFacts:
    return sound(acquisition=replace(sound().acquisition, **changes))  # type: ignore[arg-type]


def decay_factors(reference: float, when: np.ndarray) -> Timeline:
    return Timeline(decay_factors=tuple(2.0 ** ((when - reference) / F18)))


def with_frame(frame: int, factor: float) -> ScanFacts:
    level = TISSUE.copy()
    level[frame] *= factor
    return sound(image=image_of(level))


def small_mouse(dose: float, weight: float = 0.025) -> ScanFacts:
    """A mouse in a small field of view."""
    level = TISSUE * 30
    return sound(
        acquisition=Acquisition("FDG", F18, dose, weight, species="mouse"),
        image=replace(image_of(level), voxel_volume=0.2),
        regions=RegionCurves(("brain",), [level], [400.0], "labels"),
        blood=(),
    )
