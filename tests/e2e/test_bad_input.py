"""A cohort in which every scan but one is faulty in its own way: each fault is explained, the sound scan completes."""

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml

from dlif_core.errors import ExitCode
from dlif_core.phantom import write_cohort
from dlif_core.study.config import load_study
from dlif_core.study.states import ScanState, ScanStatus
from dlif_core.study.status import study_status

pytestmark = pytest.mark.slow


def sidecar(pet: Path) -> Path:
    return next(pet.glob("*_pet.json"))


def blood(pet: Path) -> Path:
    return next(pet.glob("*_blood.tsv"))


def image(pet: Path) -> Path:
    return next(pet.glob("*_pet.nii.gz"))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def missing_sidecar(pet: Path) -> None:
    sidecar(pet).unlink()


def wrong_frame_count(pet: Path) -> None:
    content = json.loads(sidecar(pet).read_text())
    edit(sidecar(pet), FrameTimesStart=content["FrameTimesStart"][:-2], FrameDuration=content["FrameDuration"][:-2])


def end_times(pet: Path) -> None:
    content = json.loads(sidecar(pet).read_text())
    ends = np.add(content["FrameTimesStart"], content["FrameDuration"])
    edit(sidecar(pet), FrameDuration=ends.tolist())


def truncated_image(pet: Path) -> None:
    content = image(pet).read_bytes()
    image(pet).write_bytes(content[: len(content) // 2])


def nan_voxels(pet: Path) -> None:
    loaded = nib.load(image(pet))
    values = np.asarray(loaded.dataobj, dtype=np.float32).copy()
    values[3, 4, 5, 6] = np.nan
    image(pet).write_bytes(gzip.compress(nib.Nifti1Image(values, loaded.affine).to_bytes(), 1))


def unknown_units(pet: Path) -> None:
    edit(sidecar(pet), Units="counts")


def no_blood(pet: Path) -> None:
    for file in pet.glob("*_blood.*"):
        file.unlink()


def rewrite_blood(pet: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    change(pd.read_csv(blood(pet), sep="\t")).to_csv(blood(pet), sep="\t", index=False, na_rep="n/a")


def short_blood(pet: Path) -> None:
    rewrite_blood(pet, lambda table: table[table["time"] < 300])


def negative_blood(pet: Path) -> None:
    rewrite_blood(pet, lambda table: table.assign(whole_blood_radioactivity=-table["whole_blood_radioactivity"]))


def disordered_blood(pet: Path) -> None:
    rewrite_blood(pet, lambda table: table.sample(frac=1, random_state=1))


# fault → (status, words that the reason must hold: the file, the fault, the remedy)
FAULTS: dict[Callable[[Path], None], tuple[ScanStatus, tuple[str, ...]]] = {
    missing_sidecar: (ScanStatus.EXCLUDED, ("_pet", ".json")),
    wrong_frame_count: (ScanStatus.EXCLUDED, ("frames", "FrameTimesStart")),
    end_times: (ScanStatus.EXCLUDED, ("_pet.json", "END times", "end - start")),
    truncated_image: (ScanStatus.EXCLUDED, ("_pet.nii.gz", "truncated")),
    nan_voxels: (ScanStatus.EXCLUDED, ("_pet.nii.gz", "finite", "frame")),
    unknown_units: (ScanStatus.EXCLUDED, ("_pet.json", "counts", "Bq/mL")),
    no_blood: (ScanStatus.UNAVAILABLE, ("_blood.tsv", "no blood was recorded", "Add")),
    short_blood: (ScanStatus.UNAVAILABLE, ("_blood.tsv", "scan")),
    negative_blood: (ScanStatus.UNAVAILABLE, ("_blood.tsv", "negative")),
    disordered_blood: (ScanStatus.UNAVAILABLE, ("_blood.tsv", "order")),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, ScanState], int]:
    """Status of every scan and the exit code, after a run with worker processes of its own."""
    folder = tmp_path_factory.mktemp("faulty")
    bids = folder / "bids"
    write_cohort(bids, 1, seed=3, voxel_size=2.0)
    (sound,) = (path for path in bids.glob("sub-*") if path.is_dir())
    for number, fault in enumerate(FAULTS):
        copy_subject(bids, sound.name, f"sub-f{number:02}")
        fault(bids / f"sub-f{number:02}" / "pet")
    study = folder / "study.yaml"
    fits = [{"model": "patlak", "t_star": 15, "maps": False}]
    content = {"name": "faulty", "data": "bids", "output": "out", "input_functions": {"arterial": {}}}
    study.write_text(yaml.safe_dump(content | {"kinetics": fits}))
    command = [sys.executable, "-m", "flows.cli", "run", str(study), "--shard", "1/1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stdout + done.stderr
    return {scan.scan: scan for scan in study_status(load_study(study)).scans}, done.returncode


def copy_subject(bids: Path, source: str, target: str) -> None:
    """Copy a subject's raw and derived files under another name."""
    for folder in [bids / source, *bids.glob(f"derivatives/*/{source}")]:
        copied = folder.with_name(target)
        shutil.copytree(folder, copied)
        for file in [path for path in copied.rglob("*") if path.is_file()]:
            file.rename(file.with_name(file.name.replace(source, target)))


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[fault.__name__ for fault in FAULTS])
def test_a_fault_is_explained(finished: tuple[dict[str, ScanState], int], number: int) -> None:
    expected, words = list(FAULTS.values())[number]
    scan = finished[0][f"sub-f{number:02}"]
    assert scan.status is expected, scan
    reason = " ".join(scan.reasons)
    assert all(word in reason for word in words), reason


def test_the_sound_scan_completes_and_the_exit_code_says_partial(finished: tuple[dict[str, ScanState], int]) -> None:
    scans, code = finished
    sound = [scan for name, scan in scans.items() if not name.startswith("sub-f")]
    assert [scan.status for scan in sound] == [ScanStatus.SUCCESS]
    assert code == ExitCode.PARTIAL
