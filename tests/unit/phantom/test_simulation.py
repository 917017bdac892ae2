"""Simulated scans: the heart's spill-over, the truth maps, determinism, and the PET-BIDS cohort on disk."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dlif_core.blood_samples.feng import FengInput
from dlif_core.errors import ConfigurationError, MissingInputError
from dlif_core.frames import FrameTiming
from dlif_core.phantom import MixedBlood, Protocol, SimulatedScan, draw_mouse, read_truth, simulate, write_cohort
from dlif_core.phantom.anatomy import ORGANS
from dlif_core.phantom.scanner import CROP

COARSE = CROP.resampled((1.2, 1.2, 1.2))
STEP = FengInput(delay=0, a1=0, a2=1, a3=0, lambda1=-1e6, lambda2=0, lambda3=0)


def suv(scan: SimulatedScan, organ: str) -> np.ndarray:
    inside = scan.truth.labels == ORGANS.index(organ) + 1
    return scan.activity[:, inside].mean(axis=1, dtype=float) / scan.mouse.activity_per_suv


@pytest.fixture(scope="module")
def fed_mice() -> list[SimulatedScan]:
    """Scans without noise of mice whose heart takes up glucose."""
    mice = [draw_mouse(seed) for seed in range(20)]
    return [
        simulate(m, CROP.resampled((0.8, 0.8, 0.8)), noise=False) for m in mice if m.kinetics["myocardium"].Ki > 0.1
    ]


def test_uptake_at_forty_minutes(fed_mice: list[SimulatedScan]) -> None:
    """Measured in one fed mouse: brain 1.6, myocardium 10.8, liver 0.76, left ventricle 7 SUV; blood 0.5.

    The median animal is near it; the myocardium's label includes its thin, blurred edge, which lowers its mean.
    """
    seen = {
        organ: np.median([suv(scan, organ)[39:41].mean() for scan in fed_mice])
        for organ in ("brain", "myocardium", "liver", "left_ventricle")
    }
    assert seen["brain"] == pytest.approx(1.6, rel=0.3)
    assert seen["liver"] == pytest.approx(0.76, rel=0.3)
    assert seen["myocardium"] == pytest.approx(10.8, rel=0.3)
    assert seen["left_ventricle"] == pytest.approx(7, rel=0.3)


def test_left_ventricle_shows_blood_and_myocardium(fed_mice: list[SimulatedScan]) -> None:
    """Measured: 0.31 of the arterial curve and 0.60 of the myocardium's, which reads higher where its edge is cut."""
    parts = []
    for scan in fed_mice:
        blood = scan.truth.input_function.frame_average(scan.protocol.timing)[0] / scan.mouse.activity_per_suv
        both = np.stack([blood, suv(scan, "myocardium")], axis=1)
        parts.append(np.linalg.lstsq(both, suv(scan, "left_ventricle"), rcond=None)[0])
    blood_part, myocardium_part = np.median(parts, axis=0)
    assert blood_part == pytest.approx(0.31, abs=0.08)
    assert 0.55 < myocardium_part < 0.9


def test_true_influx_is_the_slope_under_constant_input() -> None:
    """With constant plasma a voxel ends up rising by (1 − vB)·Ki·C_p, whatever organs it mixes."""
    hours = FrameTiming([180000.0, 190000.0], [1000.0, 1000.0])
    mouse = replace(draw_mouse(4, irreversible=True), blood=MixedBlood(STEP))
    scan = simulate(mouse, COARSE, Protocol(timing=hours), noise=False)
    early, late = scan.activity.astype(float) / mouse.activity_per_suv
    slope = (late - early) / (10000 / 60) / 1.165
    truth = scan.truth.maps
    np.testing.assert_allclose(slope, (1 - truth["vB"]) * truth["Ki"], rtol=2e-3, atol=1e-6)
    assert "VT" not in truth


def test_true_volume_is_the_ratio_at_equilibrium() -> None:
    days = FrameTiming([4e5], [1000.0])
    mouse = replace(draw_mouse(4), blood=MixedBlood(STEP))
    scan = simulate(mouse, CROP.resampled((3.0, 3.0, 3.0)), Protocol(timing=days, half_life=1e9), noise=False)
    truth = scan.truth.maps
    tissue = scan.activity[0] / mouse.activity_per_suv - truth["vB"]
    bounded = np.isfinite(truth["VT"]) & (truth["VT"] > 0.1)
    found = tissue / (1 - truth["vB"]) / 1.165
    # what little urine or lung a voxel may hold would otherwise count without end
    pure = bounded & np.isclose(found, truth["VT"], rtol=0.5)
    assert pure.sum() > 0.5 * bounded.sum()
    assert np.median(found[pure] / truth["VT"][pure]) == pytest.approx(1, abs=2e-3)


def test_true_delivery_is_the_initial_slope() -> None:
    start = FrameTiming([1.0, 2.0], [1.0, 1.0])
    mouse = replace(draw_mouse(4), blood=MixedBlood(STEP))
    scan = simulate(mouse, COARSE, Protocol(timing=start), noise=False)
    first, second = scan.activity.astype(float) / mouse.activity_per_suv
    truth = scan.truth.maps
    slope = (second - first) * 60 / 1.551
    tissue = truth["K1"] > 0.1
    # washout of a few per cent a second in the quickest organs is the tolerance
    np.testing.assert_allclose(slope[tissue], ((1 - truth["vB"]) * truth["K1"])[tissue], rtol=0.08)


def test_same_seed_same_scan_to_the_last_bit() -> None:
    first, second, other = (simulate(draw_mouse(seed), COARSE) for seed in (5, 5, 6))
    assert first.activity.tobytes() == second.activity.tobytes()
    assert first.truth.maps["Ki"].tobytes() == second.truth.maps["Ki"].tobytes()
    assert not np.array_equal(first.activity, other.activity)


def test_scan_is_a_valid_dynamic_scan() -> None:
    simulated = simulate(draw_mouse(5), COARSE)
    scan = simulated.scan
    assert simulated.activity.dtype == np.float32
    assert np.isfinite(simulated.activity).all()
    assert {"brain", "myocardium", "liver", "left_ventricle"} <= set(scan.regions.names)
    np.testing.assert_allclose(scan.voxel_size, 1.2)
    assert scan.timing.end[-1] == 45.5 * 60
    assert scan.acquisition.suv_factor == pytest.approx(1 / simulated.mouse.activity_per_suv)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cohort") / "mice"
    seen: list[int] = []
    images = write_cohort(root, 2, seed=3, voxel_size=2.0, progress=lambda: seen.append(1))
    assert len(seen) == 2
    assert [image.relative_to(root).as_posix() for image in images] == [
        "sub-m01/pet/sub-m01_pet.nii.gz",
        "sub-m02/pet/sub-m02_pet.nii.gz",
    ]
    return root


def test_cohort_describes_itself_as_pet_bids(cohort: Path) -> None:
    sidecar = json.loads((cohort / "sub-m01/pet/sub-m01_pet.json").read_text())
    assert len(sidecar["FrameTimesStart"]) == len(sidecar["FrameDuration"]) == 42
    assert (sidecar["Units"], sidecar["TracerRadionuclide"], sidecar["InjectedRadioactivityUnits"]) == (
        "Bq/mL",
        "F18",
        "MBq",
    )
    people = pd.read_csv(cohort / "participants.tsv", sep="\t")
    assert people["participant_id"].tolist() == ["sub-m01", "sub-m02"]
    assert people["weight"].between(0.015, 0.03).all()
    assert json.loads((cohort / "participants.json").read_text())["weight"]["Units"] == "kg"
    for folder in (cohort, cohort / "derivatives/phantom"):
        assert json.loads((folder / "dataset_description.json").read_text())["BIDSVersion"]


def test_blood_is_whole_blood_and_ends_early(cohort: Path) -> None:
    blood = pd.read_csv(cohort / "sub-m01/pet/sub-m01_recording-autosampler_blood.tsv", sep="\t")
    assert blood.columns.tolist() == ["time", "whole_blood_radioactivity"]
    assert blood["time"].iloc[-1] == 40.5 * 60
    truth = read_truth(cohort, "sub-m01").input_function
    np.testing.assert_allclose(blood["whole_blood_radioactivity"], truth.whole_blood[: len(blood)], rtol=1e-12)


def test_truth_reads_back_as_it_was_simulated(cohort: Path) -> None:
    truth = read_truth(cohort, "sub-m02")
    assert set(truth.maps) == {"K1", "Ki", "vB", "VT"}
    means = truth.region_means("Ki")
    assert {"brain", "liver", "muscle"} <= set(means)
    # a muscle voxel is nearly pure, and blurring only adds hotter neighbours
    assert 0.8 * truth.kinetics["muscle"].Ki < means["muscle"] < 4 * truth.kinetics["muscle"].Ki
    assert np.isinf(truth.kinetics["lung"].VT)
    assert truth.label_names[11] == "brain"
    assert truth.input_function.time[-1] == 45.5 * 60


def test_cohort_is_reproducible_and_grows_at_its_end(cohort: Path, tmp_path: Path) -> None:
    again = write_cohort(tmp_path / "again", 1, seed=3, voxel_size=2.0)[0]
    before = (cohort / "sub-m01/pet/sub-m01_pet.nii.gz").read_bytes()
    assert gzip.decompress(again.read_bytes()) == gzip.decompress(before)


def test_a_folder_with_content_is_left_alone(cohort: Path) -> None:
    with pytest.raises(ConfigurationError, match="not empty"):
        write_cohort(cohort, 1)


def test_a_cohort_on_a_device_that_is_not_there_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't use device"):
        write_cohort(tmp_path / "bids", 1, device="nowhere")
    assert not (tmp_path / "bids").exists()


def test_missing_truth_is_named(cohort: Path) -> None:
    with pytest.raises(MissingInputError, match="no truth"):
        read_truth(cohort, "sub-m09")
