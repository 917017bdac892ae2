import subprocess
import sys

import numpy as np
import pytest

from dlif_core.errors import ConfigurationError, FrameTimingError
from dlif_core.kinetics import MODELS, FitSettings, FitStatus, frame_weights
from dlif_core.scan import RegionCurves
from tests.unit.kinetics.truth import F18, MOUSE, many_regions, scan_of

FLAT = many_regions(np.full((2, len(MOUSE)), 5.0))


def test_the_registry_states_parameters_with_units() -> None:
    assert {"patlak", "logan", "1tcm", "2tcm-irreversible", "2tcm-reversible"} <= set(MODELS)
    names = {name: [p.name for p in model.parameters] for name, model in MODELS.items()}
    assert names["2tcm-irreversible"] == ["K1", "k2", "k3", "vB", "Ki"]
    assert names["2tcm-reversible"] == ["K1", "k2", "k3", "k4", "vB", "VT", "BPND"]
    assert all(p.units and p.long_name for model in MODELS.values() for p in model.parameters)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"model": "3tcm"}, "model"),
        ({"model": "1tcm", "delay": "voxel"}, "delay"),
        ({"model": "1tcm", "weights": "poisson"}, "weights"),
        ({"model": "1tcm", "blood_volume": 1.0}, "blood_volume"),
        ({"model": "1tcm", "blood_volume": -0.1}, "blood_volume"),
        ({"model": "1tcm", "t_star": 10.0}, "t_star"),
        ({"model": "patlak"}, "t_star"),
        ({"model": "logan", "t_star": -1.0}, "t_star"),
        ({"model": "patlak", "t_star": 10.0, "delay": "region"}, "delay"),
        ({"model": "1tcm", "weights": (0.0, 0.0)}, "weights"),
        ({"model": "1tcm", "weight_limits": (2.0, 1.0)}, "weight_limits"),
        ({"model": "1tcm", "rates": (1.0, 0.1)}, "rates"),
        ({"model": "1tcm", "reference": "cerebellum"}, "reference"),
        ({"model": "patlak", "t_star": "auto"}, "t_star"),
        ({"model": "patlak", "t_star": 10.0, "intervals": True}, "intervals"),
    ],
)
def test_settings_that_contradict_are_refused(changes: dict, where: str) -> None:
    with pytest.raises(ConfigurationError) as fault:
        FitSettings(**changes)
    assert fault.value.where.endswith(where)
    assert fault.value.hint


def test_duration_decay_weights_are_the_inverse_poisson_variance() -> None:
    weights = frame_weights(scan_of(FLAT), FitSettings("1tcm"))
    expected = MOUSE.duration * np.exp(-np.log(2) * MOUSE.mid / F18)
    np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-12)


@pytest.mark.parametrize("kind", ["uniform", "duration", "decay", "duration-decay"])
def test_weights_have_mean_one_and_bounded_spread(kind: str) -> None:
    curves = np.vstack([np.r_[0, 0, np.linspace(1e-9, 9e4, 40)], np.r_[0, 1, np.zeros(40)]])
    regions = RegionCurves(("large", "small"), curves, np.array([100.0, 1.0]))
    weights = frame_weights(scan_of(regions), FitSettings("1tcm", weights=kind))
    assert weights.mean() == pytest.approx(1)
    assert weights.min() >= 0.01 * np.median(weights) * 0.999
    assert weights.max() <= 100 * np.median(weights) * 1.001


def test_given_weights_are_taken_as_they_are() -> None:
    given = FitSettings("1tcm", weights=tuple(np.arange(42.0)))
    np.testing.assert_allclose(frame_weights(scan_of(FLAT), given), np.arange(42) / 20.5, rtol=1e-12)
    with pytest.raises(FrameTimingError, match="expected 42 weights, one for every frame, got 3"):
        frame_weights(scan_of(FLAT), FitSettings("1tcm", weights=(1.0, 2.0, 3.0)))


def test_weights_follow_the_volume_weighted_mean_curve() -> None:
    rising, falling = np.linspace(1, 2, 42), np.linspace(2, 1, 42)
    settings = FitSettings("1tcm")
    both = RegionCurves(("large", "small"), np.array([rising, falling]), np.array([1e9, 1.0]))
    alone = frame_weights(scan_of(many_regions(rising[None])), settings)
    np.testing.assert_allclose(frame_weights(scan_of(both), settings), alone, rtol=1e-6)


def test_dead_image_still_has_weights() -> None:
    dead = many_regions(np.zeros((1, len(MOUSE))))
    assert np.isfinite(frame_weights(scan_of(dead), FitSettings("1tcm"))).all()


def test_registry_loads_without_heavy_libraries() -> None:
    code = "import sys, dlif_core.kinetics; print(sorted({'torch', 'lmfit', 'xarray', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_status_codes_are_stable() -> None:
    assert {code.name: int(code) for code in FitStatus} == {
        "CONVERGED": 0,
        "AT_BOUND": 1,
        "DEGENERATE": 2,
        "NOT_CONVERGED": 3,
        "NOT_FINITE": 4,
        "MASKED": 5,
        "IMPLAUSIBLE": 6,
    }
