"""A study as a job array on a real Slurm: tasks draw scans, a cancelled one is made up for, the cohort follows."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from dlif_core.phantom import write_cohort
from dlif_core.store import open_store
from dlif_core.study.config import load_study
from dlif_core.study.status import study_status
from flows.serial import run_shard
from flows.slurm_array import TaskShape, submit_array, write_array
from tests.platform.slurm import Slurm

SCANS = 5
STUDY = {
    "name": "array",
    "data": "bids",
    "input_functions": {"arterial": {}},
    "kinetics": [{"model": "patlak", "t_star": 15}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("array")
    write_cohort(root / "bids", SCANS, seed=5, voxel_size=2.5)
    return root


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, str]:
    study = write_study(folder, "local")
    with ThreadPoolExecutor(1) as executor:
        run_shard(load_study(study), executor)
    return contents(study)


def write_study(folder: Path, name: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(STUDY | {"output": f"out-{name}"}))
    return path


def contents(study: Path) -> dict[str, str]:
    store = open_store(str(study.parent / f"out-{study.stem}"))
    return {name: marker.content for name, marker in store.products().items()}


def wait_until(condition: Callable[[], object], what: str, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.2)


def logs(folder: Path) -> str:
    return "\n".join(f"{path.name}:\n{path.read_text()}" for path in sorted((folder / "logs").iterdir()))


def probe(slurm: Slurm, dependency: str, out: Path) -> str:
    """A job that waits for another; it leaves a file where that one succeeded."""
    options = ("--parsable", "--kill-on-invalid-dep=yes", f"--dependency=afterok:{dependency}", f"--output={out}.log")
    return slurm.run("sbatch", *options, f"--wrap=touch {out}").strip()


def test_a_cancelled_task_is_made_up_for_and_the_cohort_follows(
    slurm: Slurm, folder: Path, expected: dict[str, str]
) -> None:
    study = write_study(folder, "slurm")
    scripts = write_array(study, TaskShape(tasks=3, memory="1G", time="10")).folder
    first, second, cohort = submit_array(scripts)
    probes = {task: probe(slurm, f"{first}_{task}", folder / f"after-{task}") for task in (1, 2, 3)}
    cancelled = scripts / "logs" / f"{first}_2.log"
    wait_until(lambda: cancelled.exists() and ": success" in cancelled.read_text(), "the second task does a step")
    slurm.run("scancel", f"{first}_2")
    wait_until(lambda: not slurm.jobs("PENDING", "RUNNING", "COMPLETING"), "all jobs end")
    said = logs(scripts)

    states = {task: slurm.job(f"{first}_{task}")["JobState"] for task in (1, 2, 3)}
    assert states == {1: "COMPLETED", 2: "CANCELLED", 3: "COMPLETED"}, said
    assert [(folder / f"after-{task}").exists() for task in (1, 2, 3)] == [True, False, True], probes
    assert slurm.job(f"{second}_1")["JobState"] == "COMPLETED", said
    assert slurm.job(cohort)["JobState"] == "COMPLETED", said
    assert {str(scan.status) for scan in study_status(load_study(study)).scans} == {"success"}
    assert contents(study) == expected
    steps = [line.split(" ", 1)[1].split(": success")[0] for line in said.splitlines() if ": success" in line]
    assert len(steps) == len(set(steps)), "a step was done twice"
    assert {step.split()[0] for step in steps} == {f"sub-m0{number + 1}" for number in range(SCANS)} | {"cohort"}


def test_a_scan_that_fails_is_told_by_the_task_that_drew_it(slurm: Slurm, tmp_path: Path) -> None:
    write_cohort(tmp_path / "bids", 3, seed=5, voxel_size=2.5)
    (tmp_path / "bids" / "sub-m02" / "pet" / "sub-m02_pet.nii.gz").write_bytes(b"spoilt")
    study = write_study(tmp_path, "spoilt")
    scripts = write_array(study, TaskShape(tasks=1, memory="1G")).folder
    first, second, cohort = submit_array(scripts)
    wait_until(lambda: not slurm.jobs("PENDING", "RUNNING", "COMPLETING"), "all jobs end")
    said = logs(scripts)
    assert slurm.job(f"{first}_1")["ExitCode"] == "5:0", said
    assert slurm.job(f"{second}_1")["ExitCode"] == "0:0", said
    assert slurm.job(cohort)["ExitCode"] == "5:0", said
    assert "sub-m02 ingest: excluded" in said
    assert [str(scan.status) for scan in study_status(load_study(study)).scans] == ["success", "excluded", "success"]
    assert "cohort" in contents(study)
