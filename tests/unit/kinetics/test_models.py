"""The registry of models: another model is one object, and reading the registry loads no fit."""

import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dlif_core.errors import ConfigurationError
from dlif_core.kinetics import MODELS, Estimates, FitContext, FitSettings, Model, Parameter, fit_regions
from tests.unit.kinetics.truth import MOUSE, many_regions, scan_of


class PeakEstimator:
    """Finds the highest frame average of every curve."""

    def fit(self, activity: np.ndarray) -> Estimates:
        peak = activity.max(axis=0)[None]
        nothing = np.zeros(activity.shape[1])
        return Estimates(peak, np.full_like(peak, np.nan), nothing.astype(np.uint8), nothing)

    def fitted(self, activity: np.ndarray, estimates: Estimates) -> np.ndarray:
        return np.full(activity.shape, np.nan)


def _engine(context: FitContext, settings: FitSettings) -> PeakEstimator:
    return PeakEstimator()


@pytest.fixture
def peak() -> Iterator[Model]:
    parameters = (Parameter("peak", "Bq mL-1", "highest frame average", lower=-math.inf),)
    yield MODELS.register(Model(name="peak", title="peak", parameters=parameters, engine=_engine, needs_input=False))
    MODELS.unregister("peak")


def test_a_registered_model_is_fitted_as_the_built_in_ones_are(peak: Model) -> None:
    curves = np.random.default_rng(0).uniform(1, 2, (3, len(MOUSE)))
    found = fit_regions(scan_of(many_regions(curves)), None, FitSettings("peak"))
    np.testing.assert_array_equal(found["peak"], curves.max(axis=1))
    assert found["peak"].attrs == {"units": "Bq mL-1", "long_name": "highest frame average"}


def test_a_name_can_be_taken_only_once(peak: Model) -> None:
    with pytest.raises(ConfigurationError, match="taken"):
        MODELS.register(peak)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="'patlak'"):
        FitSettings("patlack", t_star=10.0)


def test_reading_the_registry_loads_no_engine() -> None:
    heavy: Any = "import sys, dlif_core.kinetics; print(*{'torch', 'lmfit', 'xarray', 'scipy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
