"""Frame averages of a study's own arterial blood: zero before the injection, unknown where nothing was sampled."""

import numpy as np
import pytest

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.errors import BloodError
from dlif_core.frames import FrameTiming
from dlif_core.input_function.arterial import ArterialOptions, arterial_curve
from dlif_core.scan import Acquisition
from dlif_core.study.own_scans import measured_average

FDG = Acquisition("FDG", half_life=6586.2, injected_activity=1e7, body_weight=0.025, species="mouse")
# a frame before the injection, and a gap of 60 s
TIMING = FrameTiming([-60, 0, 10, 30, 60, 120, 300, 660, 1260, 1860], [60, 10, 20, 30, 60, 180, 300, 600, 600, 600])


def averages(first, last, delay=0.0):
    """Of samples from `first` to `last` [s] of a curve that rises for 30 s to 3000 and falls to a tail of 1000."""
    time = np.arange(first, last + 1, 5.0)
    blood = np.interp(time, [0, 30, 120], [0, 3000, 1000])
    recording = BloodRecording("manual", True, time, whole_blood=blood, source="blood.tsv")
    options = ArterialOptions(max_extrapolation=0.9, delay_s=delay)
    curve = arterial_curve([recording], float(TIMING.end[-1]), FDG, options)
    return measured_average(curve, [recording], TIMING)


def test_blood_of_the_whole_scan_is_known_in_all_frames() -> None:
    found = averages(0, 2460)
    assert found[0] == 0.0
    np.testing.assert_allclose(found[1:], [500, 2000, 2666.67, 1666.67, *[1000] * 5], rtol=1e-3)


@pytest.mark.parametrize(("last", "unknown"), [(1980, 0), (1500, 1), (1400, 2)])
def test_frames_far_beyond_the_last_sample_are_unknown(last, unknown) -> None:
    """A fifth of the time may be extrapolated: 1980 s reach 2475 s, 1500 s reach 1875 s, 1400 s reach 1750 s."""
    known = np.isfinite(averages(0, last))
    assert known.tolist() == [True] * (10 - unknown) + [False] * unknown


def test_frames_before_a_first_sample_that_shows_the_bolus_are_unknown() -> None:
    """The first sample, at 10 s, has a third of the highest activity."""
    assert np.isnan(averages(10, 2460)).tolist() == [False, True] + [False] * 8


def test_a_delay_moves_what_is_known() -> None:
    assert np.isnan(averages(0, 1500, delay=-40)[-2:]).all()
    assert np.isnan(averages(0, 1500)[-2:]).tolist() == [False, True]


@pytest.mark.parametrize(("first", "last", "said"), [(40, 2460, "the bolus before it"), (0, 600, "25% of the scan")])
def test_without_the_bolus_or_most_of_the_scan_it_is_refused(first, last, said) -> None:
    with pytest.raises(BloodError, match=rf"blood\.tsv: .*{said}"):
        averages(first, last)
