"""A model trained further on a study's own scans: from the files of the study to a curve of the new model.

Half of the scans have frames before the injection, some blood ends long before the scan, and some scans can't be used.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from dlif_core.networks.bundle.model import Trained, load_model, save_model
from dlif_core.phantom import write_cohort
from dlif_core.study.config import load_study
from dlif_core.study.input_functions import read_input_function
from dlif_core.study.own_scans import own_scans
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.running import run_step, scan_jobs
from flows.cli import app

pytestmark = pytest.mark.slow

# 9 for calibration, which is just enough for a band, and 9 for training; 3 that can't be used
SCANS, UNUSABLE = 18, {"sub-m19": "the peak was not sampled", "sub-m20": "is known for", "sub-m21": "weight is unknown"}
TUNING = {"steps": 2, "validate_every": 2, "simulated": {"first": 20_000, "count": 1}}


def files(bids: Path, number: int) -> Path:
    return bids / f"sub-m{number:02d}" / "pet" / f"sub-m{number:02d}"


def add_frame_before_injection(stem: Path) -> None:
    path, sidecar = Path(f"{stem}_pet.nii.gz"), Path(f"{stem}_pet.json")
    image, fields = nib.load(path), json.loads(sidecar.read_text())
    data = np.asarray(image.dataobj)
    nib.Nifti1Image(np.concatenate([0.0 * data[..., :1], data], axis=-1), image.affine, image.header).to_filename(path)
    times = {"FrameTimesStart": [-60.0, *fields["FrameTimesStart"]], "FrameDuration": [60.0, *fields["FrameDuration"]]}
    sidecar.write_text(json.dumps(fields | times | {"ScanStart": -60}))


def keep_blood(stem: Path, first: float, last: float) -> None:
    path = Path(f"{stem}_recording-autosampler_blood.tsv")
    blood = pd.read_csv(path, sep="\t")
    blood[blood["time"].between(first, last)].to_csv(path, sep="\t", index=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose scans and arterial input functions are in its store, and a model of one network."""
    root = tmp_path_factory.mktemp("own")
    bids = root / "bids"
    write_cohort(bids, SCANS + len(UNUSABLE), seed=5, voxel_size=1.4)
    for number in range(1, 10):
        add_frame_before_injection(files(bids, number))
    for number in range(8, 13):
        keep_blood(files(bids, number), 0.0, 1500.0)
    keep_blood(files(bids, 19), 300.0, np.inf)
    keep_blood(files(bids, 20), 0.0, 400.0)
    people = pd.read_csv(bids / "participants.tsv", sep="\t", dtype=str)
    people.loc[people["participant_id"] == "sub-m21", "weight"] = "n/a"
    people.to_csv(bids / "participants.tsv", sep="\t", index=False)
    write_study(root, "study", input_functions={"arterial": {"max_extrapolation": 0.9}})
    (root / "tuning.yaml").write_text(yaml.safe_dump(TUNING))
    make_input_functions(root / "study.yaml")
    shipped = load_model("mouse")
    facts = {key: value for key, value in shipped.manifest.training.items() if key != "torch"}
    member = {key: value for key, value in facts["members"][0].items() if key != "file"}
    trained = Trained(shipped.networks[:1], {}, {**facts, "members": [member]}, "", shipped.splits)
    save_model(root / "single", "single", trained, shipped.calibration, shipped.scope)
    return root


def write_study(root: Path, name: str, **content: object) -> None:
    settings = {"name": name, "data": "bids", "output": f"out-{name}"} | content
    (root / f"{name}.yaml").write_text(yaml.safe_dump(settings))


def make_input_functions(path: Path) -> None:
    """Run the steps of a study up to its input functions; fits and reports are tested elsewhere."""
    config = load_study(path)
    with ThreadPoolExecutor(1) as executor:
        for job in scan_jobs(config, make_plan(config, open_study_store(config))):
            if job.step.stage in ("ingest", "input-function"):
                run_step(job, executor)


@pytest.fixture(scope="module")
def trained(folder: Path) -> dict[str, object]:
    """What the command says of the new model."""
    options = ["--from", str(folder / "single"), "--study", str(folder / "study.yaml")]
    more = ["--recipe", str(folder / "tuning.yaml"), "--json"]
    done = CliRunner().invoke(app, ["train", str(folder / "own"), *options, *more], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    said: dict[str, object] = json.loads(done.stdout)
    return said


def test_scans_that_cant_be_used_are_left_out_with_a_reason(trained: dict[str, object]) -> None:
    left_out = trained["left_out"]
    assert isinstance(left_out, dict)
    assert left_out.keys() == UNUSABLE.keys()
    for scan, reason in UNUSABLE.items():
        assert reason in left_out[scan]


def test_the_model_states_what_it_rests_on_in_finite_numbers(folder: Path, trained: dict[str, object]) -> None:
    model = load_model(str(folder / "own"))
    assert model.digest == trained["digest"]
    assert not model.calibration.refusal("band", 0.9)
    assert np.isfinite(model.calibration.inflation)
    for file in model.folder.glob("*.json"):
        json.loads(file.read_text(), parse_constant=lambda value, file=file: pytest.fail(f"{value} in {file.name}"))
    limits = model.manifest.training["limits"]
    assert "3 scans of the study could not be used." in limits
    assert any("5 own scans the blood of some frames is unknown" in limit for limit in limits)


def test_the_new_model_gives_a_curve_with_band_and_samples(folder: Path, trained: dict[str, object]) -> None:
    """Of a scan with frames before the injection, about as large as the arterial curve: one network, coarse voxels."""
    learned = {"learned": {"model": str(folder / "own"), "samples": 8}, "arterial": {"max_extrapolation": 0.9}}
    write_study(folder, "again", input_functions=learned, scans=["sub-m01"])
    make_input_functions(folder / "again.yaml")
    store = open_study_store(load_study(folder / "again.yaml"))
    curve, blood = (read_input_function(store, "sub-m01", method) for method in ("learned", "arterial"))
    assert curve.lower is not None
    assert curve.upper is not None
    assert curve.samples is not None
    assert (curve.lower <= curve.whole_blood).all()
    assert np.isfinite(curve.samples).all()
    areas = [np.trapezoid(one.whole_blood, one.time) for one in (curve, blood)]
    assert areas[0] == pytest.approx(areas[1], rel=0.3)


def test_examples_are_in_suv_on_the_grid_of_the_networks(folder: Path) -> None:
    """Mean activity and late blood are those of the files, divided by dose over weight."""
    config = load_study(folder / "study.yaml").model_copy(update={"scans": ("sub-m13",)})
    (scan,) = own_scans(config, load_model(str(folder / "single"))).scans
    assert (scan.animal, scan.name) == ("study:sub-m13", "sub-m13")
    stem = files(folder / "bids", 13)
    facts = json.loads(Path(f"{stem}_pet.json").read_text())
    suv = 1000.0 * scan.example.scan.body_weight / (1e6 * facts["InjectedRadioactivity"])
    image = nib.load(f"{stem}_pet.nii.gz").get_fdata()
    assert scan.example.scan.activity[-1].mean() == pytest.approx(suv * image[..., -1].mean(), rel=0.02)
    late = pd.read_csv(f"{stem}_recording-autosampler_blood.tsv", sep="\t")["whole_blood_radioactivity"].iloc[-1]
    assert scan.example.whole_blood[-1] == pytest.approx(suv * late, rel=0.15)
    assert not len(scan.example.tissues)
