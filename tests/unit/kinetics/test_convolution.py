"""Exact convolution against an ODE solver and against adaptive quadrature."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from dlif_core.frames import FrameTiming
from dlif_core.kinetics.convolution import FrameConvolution

TIME = np.array([3.0, 10.0, 22.0, 31.0, 60.0, 200.0, 900.0, 1500.0])
VALUES = np.array([0.0, 4.0, 60.0, 30.0, 11.0, 6.0, 2.0, 1.5])
SCHEDULES = {
    "contiguous": FrameTiming([0, 5, 10, 15, 30, 60, 120, 300], [5, 5, 5, 15, 30, 60, 180, 900]),
    "gap": FrameTiming([0, 20, 60, 400], [10, 30, 200, 1000]),
    "late start": FrameTiming([100, 400, 1400], [200, 900, 300]),
    "before the first point": FrameTiming([0, 1, 2.5], [1, 1, 300]),
}


def response_average(timing: FrameTiming, rate: float) -> np.ndarray:
    """The same by an ODE solver at tight tolerance: states are the response and its integral."""
    edges = np.unique(np.concatenate([[0.0], timing.start, timing.end, TIME]))
    state, integral = np.zeros(2), {0.0: 0.0}
    for left, right in itertools.pairwise(edges):
        solution = solve_ivp(
            lambda t, y: [np.interp(t, TIME, VALUES, left=0.0) - rate / 60 * y[0], y[0]],
            (left, right),
            state,
            rtol=1e-11,
            atol=1e-11,
            method="DOP853",
        )
        state = solution.y[:, -1]
        integral[right] = state[1]
    return np.array([(integral[e] - integral[s]) / (e - s) / 60 for s, e in zip(timing.start, timing.end, strict=True)])


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("rate", [0.0, 1e-3, 0.05, 0.6, 8.0])
def test_exponential_response_equals_the_ode(schedule: str, rate: float) -> None:
    timing = SCHEDULES[schedule]
    found = FrameConvolution(TIME, VALUES, timing).exponential([rate])[0]
    np.testing.assert_allclose(found, response_average(timing, rate), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_frame_average_equals_quadrature(schedule: str) -> None:
    timing = SCHEDULES[schedule]
    expected = [
        quad(  # one smooth piece at a time
            lambda t: np.interp(t, TIME, VALUES, left=0.0), s, e, points=[t for t in TIME if s < t < e] or None
        )[0]
        / (e - s)
        for s, e in zip(timing.start, timing.end, strict=True)
    ]
    np.testing.assert_allclose(timing.average(TIME, VALUES), expected, rtol=1e-9, atol=1e-12)
