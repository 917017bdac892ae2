"""Scripts of a job array: what is asked of Slurm stands in them as it was given."""

import subprocess
from pathlib import Path

import pytest
import yaml

from dlif_core.errors import ConfigurationError
from dlif_core.phantom import write_cohort
from flows.slurm_array import TaskShape, shape_of_cluster, submit_array, write_array


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a study")  # with a space
    write_cohort(folder / "bids", 2, seed=5, voxel_size=2.5)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({"name": "Täst 1", "data": "bids", "output": "out"}))
    return path


def directives(script: Path) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in script.read_text().splitlines() if line.startswith("#SBATCH ")]


def test_what_is_asked_for_stands_in_the_scripts(study: Path) -> None:
    shape = TaskShape(
        tasks=5, cpus=3, time="1:00:00", partition="long", account="pet", directives=("-C avx2",), before=("date",)
    )
    folder = write_array(study, shape).folder
    for script in ("array.sbatch", "cohort.sbatch"):
        asked = directives(folder / script)
        for wanted in ("--cpus-per-task=3", "--time=1:00:00", "--partition=long", "--account=pet", "-C avx2"):
            assert wanted in asked
        assert "\ndate\n" in (folder / script).read_text()
    asked = directives(folder / "array.sbatch")
    assert "--array=1-2" in asked, "more tasks than scans"
    memory = next(word for word in asked if word.startswith("--mem="))
    assert int(memory.removeprefix("--mem=").removesuffix("M")) >= 3 * 1500
    assert (folder / "logs").is_dir()


@pytest.mark.parametrize("script", ["array.sbatch", "cohort.sbatch", "submit.sh"])
def test_the_scripts_are_valid_shell(study: Path, script: str) -> None:
    folder = write_array(study, TaskShape()).folder
    assert subprocess.run(["bash", "-n", folder / script]).returncode == 0


def test_a_profile_says_what_tasks_ask_for(tmp_path: Path) -> None:
    profile = tmp_path / "cluster.yaml"
    cpu = {"cores": 4, "memory": "8 GB", "walltime": "2 h", "jobs": 7, "partition": "work", "scratch": "/scratch/$USER"}
    profile.write_text(yaml.safe_dump({"kind": "slurm", "cpu": cpu}))
    shape = shape_of_cluster(str(profile)).changed(tasks=3, memory=None)
    assert shape == TaskShape(
        tasks=3, cpus=4, memory="8000M", time="120", partition="work", before=('export TMPDIR="/scratch/$USER"',)
    )
    assert shape_of_cluster("local") == TaskShape()


@pytest.mark.parametrize(
    ("shape", "where"),
    [
        (TaskShape(time="1:00:00\nrm"), "--time"),
        (TaskShape(time="1d"), "--time"),
        (TaskShape(memory="8"), "--memory"),
        (TaskShape(partition="a b"), "--partition"),
        (TaskShape(partition="-x"), "--partition"),
        (TaskShape(account=""), "--account"),
        (TaskShape(directives=("avx2",)), "--directive"),
        (TaskShape(directives=("--constraint=avx2", "--output=x")), "--directive"),
        (TaskShape(directives=("--wrap=true",)), "--directive"),
    ],
)
def test_what_is_no_option_is_refused(study: Path, shape: TaskShape, where: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        write_array(study, shape)
    assert caught.value.where == where


def test_a_path_of_several_lines_is_refused(study: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't stand in a script"):
        write_array(study, TaskShape(), tmp_path / "x\ntouch harm\n")
    assert not list(tmp_path.glob("x*"))


def test_a_path_with_letters_of_any_kind_is_a_path(study: Path, tmp_path: Path) -> None:
    """A no-break space, as Word and some file managers write it, and letters of Asia are no reason to refuse it."""
    folder = write_array(study, TaskShape(), tmp_path / "a\u00a0b\u3000\u200bü").folder
    for script in ("array.sbatch", "cohort.sbatch", "submit.sh"):
        assert subprocess.run(["bash", "-n", folder / script]).returncode == 0
        assert "a\u00a0b\u3000\u200bü" in (folder / script).read_text()


def test_a_percent_sign_of_a_path_is_no_number_of_a_job(study: Path, tmp_path: Path) -> None:
    folder = write_array(study, TaskShape(), tmp_path / "at 50%j").folder
    assert f"--output='{tmp_path}/at 50%%j/logs'/%A_%a.log" in directives(folder / "array.sbatch")


def test_without_slurm_nothing_is_submitted(study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = write_array(study, TaskShape()).folder
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="no Slurm"):
        submit_array(folder)
