"""Faulty frames: empty, of one value, of another scale, in another place."""

import numpy as np
import pytest
import torch

from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.unmixing import noise_confidence, unmix
from dlif_core.networks.scope.checks import check_image
from dlif_core.networks.scope.frames import FrameLimits, check_frames, fit_frames, frame_departures
from dlif_core.networks.scope.voxels import check_voxels
from dlif_core.phantom.scanner import MOUSE_FRAMES, frame_timing

TIMING = frame_timing(MOUSE_FRAMES)
LIMITS = FrameLimits(total=0.25, tissues=5.0)
ARRIVED = 41.0


def tissues():
    """Four layers of an animal of 24 x 8 x 8 voxels."""
    return torch.stack([torch.eye(4)[k].repeat_interleave(6) for k in range(4)])[:, :, None, None].expand(4, 24, 8, 8)


def image(noise=0.02, seed=0):
    """Blood that falls, tissues that rise or wash out, and noise as short frames have more of."""
    since = np.clip(TIMING.mid - ARRIVED, 0.0, None) / 60.0
    arrived = np.clip((TIMING.end - ARRIVED) / TIMING.duration, 0.0, 1.0)
    courses = [
        0.3 + 3.0 * np.exp(-since),
        2.0 * (1 - np.exp(-since / 10)) + 0.3,
        0.5 + since / 50,
        1.5 * np.exp(-since / 20),
    ]
    clean = torch.einsum("kf,kzyx->fzyx", torch.tensor(np.stack(courses) * arrived, dtype=torch.float32), tissues())
    rough = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return (
        clean + noise * rough * torch.tensor(np.sqrt(300.0 / TIMING.duration), dtype=torch.float32)[:, None, None, None]
    )


def scan_of(activity):
    return NetworkScan(activity, TIMING, 0.002)


def departures(scan, parts=None):
    parts = tissues() if parts is None else parts
    found = unmix(scan.activity, parts, noise_confidence(scan.activity, scan.seconds))
    return frame_departures(scan, parts, found.curves.double().numpy())


def with_air(images):
    """The images between layers of air."""
    return torch.nn.functional.pad(images, (0, 0, 4, 4))


def judged(activity):
    scan = scan_of(activity)
    return [*check_frames(scan), *LIMITS.verdicts(departures(scan))]


def words(activity):
    return " ".join(reason for verdict in judged(activity) for reason in verdict.reasons)


def at(seconds):
    """Number of the frame that contains a time, from zero."""
    return int(np.argmax(TIMING.end > seconds))


class TestSound:
    @pytest.mark.parametrize("seed", range(5))
    def test_nothing_is_said_of_sound_frames(self, seed):
        assert judged(image(seed=seed)) == []

    def test_frames_before_the_bolus_may_be_empty(self):
        activity = image()
        activity[: at(ARRIVED)] = 0.0
        assert judged(activity) == []

    def test_limits_are_those_of_sound_scans_with_room(self):
        scans = [departures(scan_of(image(seed=seed))) for seed in range(20)]
        limits = fit_frames(scans)
        assert all(limits.distance(scan) < 1.0 for scan in scans)
        assert FrameLimits.from_dict(limits.to_dict()) == limits


@pytest.mark.parametrize("seconds", [56.0, 120.0, 400.0, 1500.0, 2700.0])
class TestOneFrame:
    @pytest.mark.parametrize(("value", "said"), [(0.0, "is empty"), (1.3, "same value everywhere")])
    def test_of_one_value_is_named(self, seconds, value, said):
        activity = image()
        activity[at(seconds)] = value
        verdicts = list(check_frames(scan_of(activity)))
        assert [verdict.state for verdict in verdicts] == ["out of scope"]
        assert said in verdicts[0].reasons[0]
        assert f"frame {at(seconds) + 1} (" in verdicts[0].reasons[0]
        assert check_image(scan_of(activity)).state == "out of scope"

    @pytest.mark.parametrize("factor", [10.0, 0.1])
    def test_of_another_scale_is_named_with_its_factor(self, seconds, factor):
        activity = image()
        activity[at(seconds)] *= factor
        (verdict,) = judged(activity)
        assert verdict.state == "out of scope"
        assert f"frame {at(seconds) + 1} (" in verdict.reasons[0]
        told = float(verdict.reasons[0].split(" times")[0].split()[-1])
        assert told == pytest.approx(factor, rel=0.6)


class TestPlace:
    @pytest.mark.parametrize(("one", "other"), [(70.0, 1500.0), (120.0, 2000.0), (300.0, 1800.0)])
    def test_exchanged_frames_are_named(self, one, other):
        activity = image()
        pair = [at(one), at(other)]
        activity[pair] = activity[pair[::-1]]
        said = words(activity)
        assert all(str(frame + 1) in said for frame in pair), said

    def test_a_frame_with_head_and_tail_exchanged_is_named(self):
        activity = image()
        activity[at(800.0)] = activity[at(800.0)].flip(0)
        assert f"frame {at(800.0) + 1} (" in words(activity)

    def test_three_frames_of_another_scale_are_named(self):
        activity, first = image(), at(600.0)
        activity[first : first + 3] *= 10.0
        said = words(activity)
        assert all(f"frame {frame + 1} (" in said for frame in range(first, first + 3))


class TestStep:
    @pytest.mark.parametrize("factor", [0.5, 2.0, 1.8])
    @pytest.mark.parametrize("seconds", [200.0, 700.0, 1300.0, 2150.0])
    def test_a_change_of_scale_from_one_frame_on_is_named(self, seconds, factor):
        activity, first = image(), at(seconds)
        activity[first:] *= factor
        (verdict,) = judged(activity)
        assert verdict.state == "out of scope"
        assert f"from frame {first + 1} on ({TIMING.start[first]:g} s)" in verdict.reasons[0]
        assert "does the scale change" in verdict.reasons[0]
        told = float(verdict.reasons[0].split(" times")[0].split()[-1])
        assert told == pytest.approx(factor, rel=0.15)

    def test_a_small_change_is_none(self):
        activity = image()
        activity[at(1300.0) :] *= 0.9
        assert judged(activity) == []


class TestNoFalseReason:
    @pytest.mark.parametrize(("first", "last"), [(60.0, 110.0), (300.0, 1200.0), (900.0, 2000.0)])
    def test_a_gap_blames_no_frame(self, first, last):
        kept = (TIMING.start < first) | (TIMING.start > last)
        timing = FrameTiming(TIMING.start[kept], TIMING.duration[kept])
        assert list(LIMITS.verdicts(departures(NetworkScan(image()[kept], timing, 0.002)))) == []

    def test_a_constant_below_zero_is_named_and_blames_no_frame(self):
        clean = with_air(image())
        clean[: at(ARRIVED)] = 0.0
        activity = clean - 0.3
        scan = NetworkScan(activity, TIMING, 0.002)
        assert [*check_frames(scan), *LIMITS.verdicts(departures(scan, with_air(tissues())))] == []
        (verdict,) = check_voxels(scan)
        assert verdict.state == "doubtful"
        assert "-0.3" in verdict.reasons[0]
        assert "constant" in verdict.reasons[0]

    @pytest.mark.parametrize("seconds", [45.0, 56.0, 700.0, 2700.0])
    @pytest.mark.parametrize("value", [1e3, 1e5])
    def test_a_hot_voxel_is_named_and_blames_no_frame(self, seconds, value):
        activity = image()
        activity[at(seconds), 3, 4, 5] = value
        scan = scan_of(activity)
        assert [*check_frames(scan), *LIMITS.verdicts(departures(scan))] == []
        (verdict,) = check_voxels(scan)
        assert verdict.state == "doubtful"
        assert f"frame {at(seconds) + 1}," in verdict.reasons[0]
        assert "voxel" in verdict.reasons[0]

    @pytest.mark.parametrize("seed", range(3))
    def test_nothing_is_said_of_sound_voxels(self, seed):
        assert list(check_voxels(scan_of(image(seed=seed)))) == []


class TestFirstPass:
    """The bolus arrives at 41 s."""

    @staticmethod
    def said(first, last):
        """Reasons against the image whose frames from one time to another are one frame."""
        joined = (TIMING.start >= first) & (TIMING.end <= last)
        activity, weights = image(), torch.tensor(TIMING.duration[joined] / (last - first), dtype=torch.float32)
        one = torch.einsum("f,fzyx->zyx", weights, activity[joined])[None]
        edges = np.append(TIMING.start[~joined], first)
        order = np.argsort(edges)
        durations = np.append(TIMING.duration[~joined], last - first)
        frames = torch.cat([activity[~joined], one])[order.tolist()]
        scan = NetworkScan(frames, FrameTiming(edges[order], durations[order]), 0.002)
        return " ".join(check_image(scan).reasons)

    @pytest.mark.parametrize(("first", "last"), [(40.0, 70.0), (30.0, 90.0)])
    def test_a_frame_that_holds_it_whole_is_named(self, first, last):
        assert f"({first:g} to {last:g} s) is too long for the first pass" in self.said(first, last)

    @pytest.mark.parametrize(("first", "last"), [(40.0, 50.0), (80.0, 115.0), (0.0, 30.0)])
    def test_short_frames_and_long_ones_before_and_after_it_are_not(self, first, last):
        assert "first pass" not in self.said(first, last)


@pytest.mark.parametrize(
    "places", [torch.ones(24, 8, 8), torch.rand(24, 8, 8, generator=torch.Generator().manual_seed(1))]
)
def test_an_image_of_one_curve_is_no_animal(places):
    curve = image().mean(dim=(1, 2, 3))
    verdicts = list(check_frames(scan_of(curve[:, None, None, None] * places)))
    assert {verdict.state for verdict in verdicts} == {"out of scope"}
    assert "is empty" not in verdicts[0].reasons[0]
