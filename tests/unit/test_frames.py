"""Frame timing: validation of schedules, and exact averages against quadrature."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from dlif_core.errors import FrameOverlapError, FrameTimingError
from dlif_core.frames import FrameTiming, integral_at

seconds = st.floats(0.5, 300)
spaces = st.lists(st.tuples(st.floats(0, 50), seconds), min_size=1, max_size=8)
curves = st.lists(st.tuples(seconds, st.floats(-1e3, 1e5)), min_size=1, max_size=8)


def schedule(gaps_and_durations: list[tuple[float, float]], first: float = 0.0) -> FrameTiming:
    """Frames in order, each some seconds after the one before."""
    gap, duration = np.array(gaps_and_durations).T
    start = first + np.cumsum(gap) + np.concatenate([[0.0], np.cumsum(duration)[:-1]])
    return FrameTiming(start, duration)


def curve(steps_and_values: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """A piecewise linear curve with increasing times."""
    steps, values = np.array(steps_and_values).T
    return np.cumsum(steps), values


def by_quadrature(time: np.ndarray, values: np.ndarray, start: float, end: float) -> float:
    """Integral of the curve by adaptive quadrature, one smooth piece at a time."""
    edges = [start, *(t for t in time if start < t < end), end]
    pieces = itertools.pairwise(edges)
    return sum(quad(lambda t: np.interp(t, time, values), left, right)[0] for left, right in pieces if left >= time[0])


@settings(deadline=None)
@given(spaces, curves, st.floats(-100, 400))
def test_frame_average_equals_quadrature(
    frames: list[tuple[float, float]], points: list[tuple[float, float]], first: float
) -> None:
    timing, (time, values) = schedule(frames, first), curve(points)
    expected = [
        by_quadrature(time, values, start, end) / (end - start)
        for start, end in zip(timing.start, timing.end, strict=True)
    ]
    scale = np.abs(values).max() + 1
    np.testing.assert_allclose(timing.average(time, values), expected, atol=1e-9 * scale)


@settings(deadline=None)
@given(spaces, curves)
def test_averages_add_up_to_the_integral(frames: list[tuple[float, float]], points: list[tuple[float, float]]) -> None:
    contiguous = schedule([(0.0, duration) for _, duration in frames])
    time, values = curve(points)
    total = (contiguous.average(time, values) * contiguous.duration).sum()
    expected = integral_at(time, values, [contiguous.end[-1]])[0]
    np.testing.assert_allclose(total, expected, atol=1e-6 * (np.abs(values).max() + 1))


def test_many_curves_are_averaged_at_once() -> None:
    timing = FrameTiming([0, 10], [10, 30])
    time, values = np.array([0.0, 20, 40]), np.array([[0.0, 20, 40], [5, 5, 5]])
    np.testing.assert_allclose(timing.average(time, values), [[5, 25], [5, 5]])


def test_the_curve_is_zero_before_and_constant_after() -> None:
    timing = FrameTiming([0, 10, 20], [10, 10, 10])
    np.testing.assert_allclose(timing.average([10, 20], [4.0, 8.0]), [0, 6, 8])


@settings(deadline=None)
@given(spaces)
def test_gaps_are_those_that_were_left(frames: list[tuple[float, float]]) -> None:
    timing = schedule(frames)
    durations = [duration for _, duration in frames]
    left = {
        i - 1: gap
        for i, (gap, _) in enumerate(frames)
        if i and gap > 1.01 * max(0.01 * min(durations[i - 1], durations[i]), 1e-3)
    }
    found = {gap.after_frame: gap.seconds for gap in timing.gaps}
    assert left.keys() <= found.keys()
    for frame, expected in left.items():
        assert found[frame] == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(timing.mid, timing.start + timing.duration / 2)


def test_a_gap_names_the_frame_before_it() -> None:
    (gap,) = FrameTiming([0, 60, 180], [60, 60, 60]).gaps
    assert str(gap) == "gap of 60 s after frame 2"


@pytest.mark.parametrize(
    ("start", "duration", "word"),
    [
        ([0, 10], [10], r"2 frame start times \(shape \(2,\)\) for 1 durations"),
        ([], [], "0 frame start"),
        ([[0, 10]], [[10, 10]], "frame start times"),
        (["zero", "ten"], [10, 10], "frame start times are not numbers"),
        ([0, 10], [[10], [10, 20]], "frame duration times are not numbers"),
        (0.0, 10.0, "frame start times"),
        ([0, np.nan], [10, 10], "finite"),
        ([0, 10], [10, np.inf], "finite"),
        ([0, 10], [10, 0], "frame 2 has a duration of 0"),
        ([0, 10], [10, -5], "frame 2 has a duration of -5"),
        ([0, 20, 10], [5, 5, 5], "frame 3 starts at 10"),
        ([0, 10, 10], [10, 1, 1], "frame 3 starts at 10"),
    ],
)
def test_impossible_schedules(start: list[float], duration: list[float], word: str) -> None:
    with pytest.raises(FrameTimingError, match=word) as caught:
        FrameTiming(start, duration, where="scan.json")
    assert caught.value.where == "scan.json"
    assert caught.value.hint


def test_overlap_is_refused() -> None:
    with pytest.raises(FrameOverlapError, match="frame 1 ends 5 s after frame 2 starts") as caught:
        FrameTiming([0, 10], [15, 10])
    assert "END" not in caught.value.hint


@settings(deadline=None)
@given(st.lists(st.floats(5, 300), min_size=3, max_size=20))  # the overlap must exceed the rounding tolerance
def test_end_times_in_place_of_durations_are_recognised(durations: list[float]) -> None:
    end = np.cumsum(durations)
    with pytest.raises(FrameOverlapError) as caught:
        FrameTiming(end - durations, end)
    assert "FrameDuration holds frame END times" in caught.value.hint


def test_rounding_is_no_overlap() -> None:
    timing = FrameTiming([0, 29.98, 60], [30, 30, 30])
    assert timing.gaps == ()


def test_equality_is_by_value() -> None:
    timing = FrameTiming([0, 10], [10, 30])
    assert timing == FrameTiming([0, 10 + 1e-9], [10, 30])
    assert timing != FrameTiming([0, 10], [10, 31])
    assert timing != FrameTiming([0], [10])
    assert timing != "timing"


def test_times_can_not_be_changed() -> None:
    start = np.array([0.0, 10])
    timing = FrameTiming(start, [10, 30])
    start[0] = 99
    assert timing.start[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        timing.start[0] = 1
