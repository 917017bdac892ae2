"""A small simulated study with models of every kind: what is found, compared and denoised reaches its products."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from dlif_core.kinetics.denoising import hypr_lr
from dlif_core.phantom import write_cohort
from dlif_core.store import Fingerprint
from dlif_core.study.config import StudyConfig
from dlif_core.study.input_functions import read_input_function
from dlif_core.study.job import ScanJob
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.products import fit_name, input_function_name, report_name, selection_name
from dlif_core.study.running import run_step
from dlif_core.study.source import read_scan
from dlif_core.study.states import ScanStatus
from dlif_core.study.status import study_status

pytestmark = pytest.mark.slow

SCAN = "sub-m01"
KINETICS = [
    {"model": "patlak", "t_star": "find", "leading_region": "brain"},
    {"model": "suv", "window": [20, 45]},
    {"model": "suvr", "window": [20, 45], "reference": "muscle"},
    {"model": "1tcm"},
    {"model": "2tcm-irreversible", "rates": "find"},
    {"model": "suv", "name": "smooth", "window": [20, 45], "denoise": 2.0},
]
STUDY: dict[str, object] = {
    "data": "bids",
    "input_functions": {"arterial": {}},
    "kinetics": KINETICS,
    "select": {"of": ["1tcm", "2tcm-irreversible"]},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, run_study: Callable[..., StudyConfig]) -> StudyConfig:
    root = tmp_path_factory.mktemp("models")
    write_cohort(root / "bids", 1, seed=3, voxel_size=1.5)
    return run_study(root, **STUDY)


def opened(study: StudyConfig, name: str, kind: str) -> xr.Dataset:
    return open_study_store(study).open_dataset(fit_name(SCAN, name, kind)).load()


def test_all_models_succeed(study: StudyConfig) -> None:
    assert [scan.status for scan in study_status(study).scans] == [ScanStatus.SUCCESS]


def test_what_was_found_on_the_leading_region_is_recorded_and_shared(study: StudyConfig) -> None:
    regions, maps = (opened(study, "patlak", kind) for kind in ("regions", "maps"))
    found = json.loads(regions.attrs["found"])
    assert 0 <= found["t_star"] < 40
    assert regions.attrs["t_star"] == maps.attrs["t_star"] == found["t_star"]
    low, high = json.loads(opened(study, "2tcm-irreversible", "maps").attrs["found"])["rates"]
    assert 0 < low < high


def test_a_model_without_blood_has_no_input_function(study: StudyConfig) -> None:
    suv, suvr = opened(study, "suv", "regions"), opened(study, "suvr", "regions")
    assert suv.attrs["input_function"] == suvr.attrs["input_function"] == ""
    ratio = suv["SUV"] / suv["SUV"].sel(region="muscle")
    np.testing.assert_allclose(suvr["SUVR"], ratio, rtol=1e-6)


def test_the_comparison_of_models_has_regions_and_maps(study: StudyConfig) -> None:
    store = open_study_store(study)
    regions, maps = (store.open_dataset(selection_name(SCAN), group=group).load() for group in ("regions", "maps"))
    assert list(regions["model"].values) == ["1tcm", "2tcm-irreversible"]
    brain = {name: float(opened(study, name, "regions")["aicc"].sel(region="brain")) for name in STUDY["select"]["of"]}
    best = min(brain, key=brain.__getitem__)
    assert regions["model"].values[int(regions["best_model"].sel(region="brain"))] == best
    status = opened(study, "1tcm", "maps")["status"]
    assert maps["best_model"].shape == status.shape
    assert (maps["best_model"] == 1).any()
    assert "Best model of each region" in store.read_text(report_name(SCAN), "report.html")


def test_denoised_maps_are_those_of_the_denoised_image(study: StudyConfig) -> None:
    scan, _ = read_scan(open_study_store(study), SCAN)
    plain, smooth = opened(study, "suv", "maps"), opened(study, "smooth", "maps")
    assert smooth.attrs["denoise"] == 2.0
    assert "denoise" not in plain.attrs
    denoised = hypr_lr(np.asarray(scan.activity[:]), scan.timing.duration, scan.voxel_size, 2.0)
    late = (scan.timing.start >= 20 * 60) & (scan.timing.end <= 45 * 60)
    mean = scan.acquisition.suv_factor * np.average(denoised[late], axis=0, weights=scan.timing.duration[late])
    fitted = smooth["status"].values == 0
    assert fitted.mean() > 0.5
    np.testing.assert_allclose(smooth["SUV"].values[fitted], mean[fitted], rtol=1e-4)


def test_regions_are_not_denoised(study: StudyConfig) -> None:
    plain, smooth = opened(study, "suv", "regions"), opened(study, "smooth", "regions")
    np.testing.assert_array_equal(plain["SUV"], smooth["SUV"])


def test_samples_of_the_input_function_reach_the_maps(study: StudyConfig, tmp_path: Path) -> None:
    copy = study.model_copy(update={"output": str(shutil.copytree(study.output, tmp_path / "out"))})
    store = open_study_store(copy)
    name = input_function_name(SCAN, "arterial")
    marker, curve = store.marker(name), read_input_function(store, SCAN, "arterial")
    scale = 1 + 0.1 * np.linspace(-1, 1, 30)[:, None] / np.std(np.linspace(-1, 1, 30))
    store.delete(name)
    with store.stage(name) as staging:
        staging.write_dataset(replace(curve, samples=scale * curve.whole_blood).to_dataset())
        staging.publish(Fingerprint(marker.parts))
    planned = make_plan(copy, store)
    steps = {planned.step.title: planned.step for planned in planned.steps}
    step = steps[f"{SCAN} maps 2tcm-irreversible"]
    store.delete(step.product)  # what is committed is not made again
    with ThreadPoolExecutor(1) as executor:
        assert run_step(ScanJob(copy, step, planned.files[SCAN]), executor).status == "success"
    maps = opened(copy, "2tcm-irreversible", "maps")
    assert maps["Ki_input_factor"].dims == ("factor", "z", "y", "x")
    # of a curve s times as high the optimum has (1 − vB) Ki and vB 1/s times as large
    sound = (maps["status"].values == 0) & (maps["Ki"].values > 0)
    expected = 0.1 * np.sqrt(30 / 29) * (maps["Ki"] / (1 - maps["vB"])).values
    difference = np.abs(maps["Ki_input_se"].values[sound] / expected[sound] - 1)
    assert np.quantile(difference, 0.99) < 1e-3
    total = np.hypot(maps["Ki_se"], maps["Ki_input_se"]).values
    np.testing.assert_allclose(maps["Ki_total_se"].values[sound], total[sound], rtol=1e-5)
