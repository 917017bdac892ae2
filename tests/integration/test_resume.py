"""A run that is killed again and again ends with the same products as an undisturbed one, and redoes nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from dlif_core.phantom import write_cohort
from dlif_core.store import open_store

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(1500)]

KILLS = 3
RECORDED_TIMINGS = ("created", "seconds")
STUDY = {
    "name": "resume",
    "input_functions": {"arterial": {}, "population": {}},
    "kinetics": [
        {"model": "2tcm-irreversible", "input_function": "arterial"},
        {"model": "patlak", "input_function": "population", "t_star": 15},
    ],
}


@pytest.fixture(scope="module")
def bids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("resume") / "bids"
    write_cohort(root, 3, seed=5, voxel_size=1.5)
    return root


def study_file(folder: Path, bids: Path, **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY | {"data": str(bids), "output": "out"} | changes))
    return path


def command(study: Path, verb: str = "run") -> list[str]:
    return [sys.executable, "-m", "flows.cli", verb, str(study)]


def environment(home: Path) -> dict[str, str]:
    return os.environ | {"PREFECT_HOME": str(home)}


def run(study: Path) -> str:
    """Run to the end; the terminal's output."""
    done = subprocess.run(
        command(study), env=environment(study.parent / "prefect"), capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def committed_products(out: Path) -> list[Path]:
    """Folders of what a reader sees as committed; a live run may change them meanwhile."""
    found = []
    for folder, names, files in os.walk(out):
        names[:] = [name for name in names if not name.startswith(".")]
        if "commit.json" in files:
            found.append(Path(folder))
    return found


def visible(out: Path) -> dict[str, bytes]:
    """Every committed product's marker; for a store at rest."""
    return {str(folder.relative_to(out)): (folder / "commit.json").read_bytes() for folder in committed_products(out)}


def run_and_kill(study: Path, commits: int, patience: float) -> None:
    """Start a run and SIGKILL its process group a moment after it has committed some products."""
    out = study.parent / "out"
    before = len(committed_products(out))
    with subprocess.Popen(
        command(study),
        env=environment(study.parent / "prefect"),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 120
        while (
            len(committed_products(out)) < before + commits and process.poll() is None and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        time.sleep(patience)
        os.killpg(process.pid, signal.SIGKILL)


def contents(out: Path) -> dict[str, bytes]:
    """All files of a store that users see; recorded timings left out of the markers."""
    found = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = str(path.relative_to(out))
        if name.startswith("."):
            continue
        found[name] = path.read_bytes()
        if path.name == "commit.json":
            marker = json.loads(found[name])
            found[name] = json.dumps({k: v for k, v in marker.items() if k not in RECORDED_TIMINGS}).encode()
    return found


def test_killed_runs_end_like_an_undisturbed_one(bids: Path, tmp_path: Path) -> None:
    chance = random.Random(20261122)
    killed = study_file(tmp_path / "killed", bids)
    out = tmp_path / "killed" / "out"
    committed: dict[str, bytes] = {}
    for _ in range(KILLS):
        run_and_kill(killed, commits=chance.randint(0, 4), patience=chance.uniform(0.0, 1.0))
        now = visible(out)
        assert committed.items() <= now.items(), "a committed product was lost or made again"
        committed = now
    run(killed)
    assert {name: marker for name, marker in visible(out).items() if name in committed} == committed
    assert not any((out / ".staging").rglob("*"))

    undisturbed = study_file(tmp_path / "undisturbed", bids)
    run(undisturbed)
    expected, found = contents(tmp_path / "undisturbed" / "out"), contents(out)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []

    check_second_run(killed)
    check_changed_option(killed, bids)


def check_second_run(study: Path) -> None:
    """With nothing to do no server is started: its home would hold a new log or database entry."""
    out, home = study.parent / "out", study.parent / "prefect"
    before, database = visible(out), (home / "prefect.db").stat().st_mtime_ns
    assert "Everything is up to date." in run(study)
    assert visible(out) == before
    assert (home / "prefect.db").stat().st_mtime_ns == database


def check_changed_option(study: Path, bids: Path) -> None:
    """A changed kinetic option is named by the plan and makes only what depends on it run again."""
    out = study.parent / "out"
    before = visible(out)
    changed = [STUDY["kinetics"][0], STUDY["kinetics"][1] | {"t_star": 20}]
    study = study_file(study.parent, bids, kinetics=changed)
    plan = subprocess.run(command(study, "plan"), capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"})
    assert "kinetics.patlak.t_star" in plan.stdout
    run(study)
    again = {name for name, marker in visible(out).items() if before[name] != marker}
    scans = {name.split("/")[1].removesuffix(".zarr") for name in before if name.startswith("scans/")}
    expected = {f"scans/{scan}.zarr/kinetics/patlak/{kind}" for scan in scans for kind in ("regions", "maps")}
    assert again == expected | {f"reports/{scan}" for scan in scans} | {"cohort"}
    assert open_store(str(out)).marker("cohort") is not None
