"""A simulated human through a study with the shipped model of humans, and through the library."""

from collections.abc import Callable

import numpy as np
import pytest

import dlif_core as dlif
from dlif_core.curve import InputFunction
from dlif_core.errors import OutOfScopeError
from dlif_core.phantom import read_truth, write_cohort
from dlif_core.phantom.sites import Sites
from dlif_core.study.config import StudyConfig
from dlif_core.study.input_functions import read_input_function
from dlif_core.study.plan import open_study_store
from dlif_core.study.states import ScanStatus
from dlif_core.study.status import study_status

SCAN = "sub-m01"
LABORATORY = Sites("humans-of-tests", stream=991, species="human").site(1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, run_study: Callable[..., StudyConfig]) -> StudyConfig:
    root = tmp_path_factory.mktemp("human")
    write_cohort(root / "bids", 1, seed=1, voxel_size=5.0, population=LABORATORY)
    learned = {"model": "human", "explain": False}
    return run_study(
        root, data="bids", input_functions={"learned": learned}, kinetics=[{"model": "patlak", "t_star": 15}]
    )


@pytest.fixture(scope="module")
def curve(study: StudyConfig) -> InputFunction:
    return read_input_function(open_study_store(study), SCAN, "learned")


def test_the_human_gets_a_curve_with_a_band(study: StudyConfig, curve: InputFunction) -> None:
    assert [scan.status for scan in study_status(study).scans] == [ScanStatus.SUCCESS]
    assert curve.provenance["model"]["name"] == "human"
    assert curve.lower is not None
    assert curve.upper is not None
    assert (curve.lower <= curve.upper).all()


def test_the_curve_is_that_of_the_arterial_blood(study: StudyConfig, curve: InputFunction) -> None:
    truth = read_truth(study.data.uri, SCAN).input_function
    time = np.arange(0.0, min(truth.time[-1], curve.time[-1]), 5.0)
    areas = [np.trapezoid(np.interp(time, one.time, one.whole_blood), time) for one in (curve, truth)]
    assert areas[0] / areas[1] == pytest.approx(1.0, abs=0.4)


def test_the_model_of_mice_refuses_a_human(study: StudyConfig) -> None:
    scan = dlif.open_scan(study.data.uri, SCAN)
    with pytest.raises(OutOfScopeError, match="the species is 'human'; the model knows mice only"):
        dlif.estimate_input_function(scan, "learned", model="mouse")
