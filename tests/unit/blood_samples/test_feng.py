"""The dispersed Feng curve against quadrature of the convolution integral."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from dlif_core.blood_samples.feng import FengInput
from dlif_core.errors import ConfigurationError

MOUSE = FengInput(0.613, 102.8, 1.82, 1.85, -5.55, -0.227, -0.0333, 0.18)


def undispersed(feng: FengInput, minutes: float) -> float:
    u = minutes - feng.delay
    if u <= 0:
        return 0.0
    first = (feng.a1 * u - feng.a2 - feng.a3) * np.exp(feng.lambda1 * u)
    return float(first + feng.a2 * np.exp(feng.lambda2 * u) + feng.a3 * np.exp(feng.lambda3 * u))


def dispersed(feng: FengInput, minutes: float) -> float:
    def kernel(s: float) -> float:
        return undispersed(feng, s) * np.exp(-(minutes - s) / feng.dispersion) / feng.dispersion

    if minutes <= feng.delay:
        return 0.0
    nearby = max(feng.delay, minutes - 40 * feng.dispersion)
    return float(quad(kernel, nearby, minutes, epsabs=1e-13, epsrel=1e-12, limit=400)[0])


@pytest.mark.parametrize("minutes", [0.0, 0.6, 0.62, 0.7, 1.0, 1.5, 3.0, 10.0, 40.0])
def test_dispersion_equals_quadrature(minutes: float) -> None:
    assert MOUSE.curve(60 * minutes) == pytest.approx(dispersed(MOUSE, minutes), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("offset", [0.0, 1e-12, 1e-7, 1e-3, -1e-3, 0.3, -0.3])
@pytest.mark.parametrize("rate", ["lambda1", "lambda2"])
def test_equal_rates_are_no_special_case(rate: str, offset: float) -> None:
    parameters = {**vars(MOUSE), rate: -1 / MOUSE.dispersion + offset}
    feng = FengInput(**parameters)
    minutes = [0.65, 1.0, 2.0, 8.0]
    np.testing.assert_allclose(feng.curve(60 * np.array(minutes)), [dispersed(feng, m) for m in minutes], rtol=1e-8)


@settings(max_examples=40, deadline=None)
@given(dispersion=st.floats(0.02, 1.0), lambda1=st.floats(-12, -1), minutes=st.floats(0.7, 30))
def test_dispersion_equals_quadrature_for_any_parameters(dispersion: float, lambda1: float, minutes: float) -> None:
    feng = FengInput(0.6, 100.0, 1.8, 1.9, lambda1, -0.23, -0.033, dispersion)
    assert feng.curve(60 * minutes) == pytest.approx(dispersed(feng, minutes), rel=1e-7, abs=1e-9)


def test_no_dispersion_is_the_plain_model() -> None:
    feng = FengInput(0.613, 102.8, 1.82, 1.85, -5.55, -0.227, -0.0333)
    minutes = np.linspace(0, 45, 50)
    np.testing.assert_allclose(feng.curve(60 * minutes), [undispersed(feng, m) for m in minutes], atol=1e-13)


def test_centre_of_the_mouse_family_has_the_measured_figures() -> None:
    """The mouse it was fitted to: peak 8 SUV at 64 s, AUC(0-40 min) 51 SUV·min, 3.5 … .50 SUV at 2 … 40 min."""
    time = np.arange(0, 2400.5, 0.5)
    curve = MOUSE.curve(time)
    assert curve.max() == pytest.approx(8, rel=0.1)
    assert time[curve.argmax()] == pytest.approx(64, abs=3)
    assert np.trapezoid(curve, time) / 60 == pytest.approx(51, rel=0.05)
    measured = [3.5, 2.2, 1.6, 0.96, 0.50]
    np.testing.assert_allclose(MOUSE.curve(60 * np.array([2, 5, 10, 20, 40])), measured, rtol=0.06)


def test_growing_exponentials_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="negative or zero"):
        FengInput(0.6, 100.0, 1.8, 1.9, 5.5, -0.23, -0.033)
