"""A real Slurm as the cluster of a run: jobs come with the work and are replaced; without any the run ends."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
import yaml

from dlif_core.compute.cluster import open_client
from dlif_core.errors import ClusterError, ConfigurationError, ExitCode
from dlif_core.phantom import write_cohort
from dlif_core.store import open_store
from tests.platform.slurm import Slurm

Result = TypeVar("Result")

#: For tests that run a whole study, also where the machine is busy [s].
PATIENT = pytest.mark.timeout(1500)
CPU = {"cores": 2, "memory": "2 GB", "walltime": "20 min", "jobs": 2}


@pytest.fixture
def profile(slurm: Slurm, tmp_path: Path) -> Callable[..., str]:
    """Write a profile for the Slurm of this test."""

    def write(**content: object) -> str:
        path = tmp_path / "cluster.yaml"
        settings = {"kind": "slurm", "interface": "lo", "shared": str(tmp_path / "shared"), "cpu": CPU}
        path.write_text(yaml.safe_dump(settings | content))
        return str(path)

    return write


def where(seconds: float = 0.5) -> tuple[str, int]:
    """Number of the job that a worker belongs to, and its process."""
    time.sleep(seconds)
    return os.environ["SLURM_JOB_ID"], os.getpid()


def test_lost_jobs_and_workers_are_replaced(slurm: Slurm, profile: Callable[..., str]) -> None:
    with open_client(profile()) as client:
        executor = client.executor()
        first = [executor.submit(where) for _ in range(8)]
        jobs = {job for job, _ in (future.result(60) for future in first)}
        assert len(jobs) == 2
        more = [executor.submit(where, 2.0) for _ in range(12)]
        time.sleep(1)
        slurm.run("scancel", min(jobs))
        _, process = first[-1].result()
        os.kill(process, signal.SIGKILL)
        after = {job for job, _ in (future.result(90) for future in more)}
    assert len(jobs | after) >= 3
    assert not slurm.jobs("PENDING", "RUNNING")


def test_jobs_follow_those_that_near_their_walltime(slurm: Slurm, profile: Callable[..., str]) -> None:
    short = {"cores": 1, "memory": "1 GB", "walltime": "45 s", "jobs": 1}  # its worker ends after 38 s
    before = slurm.jobs().keys()
    with open_client(profile(cpu=short)) as client:
        executor = client.executor()
        assert [future.result(240) for future in [executor.submit(time.sleep, 1.0) for _ in range(42)]] == [None] * 42
        states = [state for job, state in slurm.jobs().items() if job not in before]
    assert len(states) >= 2
    assert "TIMEOUT" not in states


def test_jobs_leave_when_there_is_nothing_to_do(
    slurm: Slurm, profile: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlif_core.compute.slurm_jobs._IDLE", 2.0)
    with open_client(profile(cpu=CPU | {"fewest": 1})) as client:
        executor = client.executor()
        assert len({job for job, _ in executor.map(where, [0.5] * 8)}) == 2
        end = time.monotonic() + 60
        while len(slurm.jobs("RUNNING", "PENDING")) > 1:
            assert time.monotonic() < end
            time.sleep(0.5)
        assert executor.submit(where).result(60)


def test_steps_that_ask_for_a_gpu_go_to_jobs_with_one(slurm: Slurm, profile: Callable[..., str]) -> None:
    gpu = {"cores": 1, "memory": "1 GB", "walltime": "20 min", "jobs": 1}
    with open_client(profile(gpu=gpu)) as client:
        assert client.offers() == {"GPU"}
        with_gpu = client.executor(resources={"GPU": 1}).submit(where).result(60)
        job = slurm.job(with_gpu[0])
        assert job["JobName"] == "dlif-gpu"
        assert "gres:gpu:1" in job["TresPerNode"]
        assert slurm.job(client.executor().submit(where).result(60)[0])["JobName"].startswith("dlif-")


def test_keys_are_private_and_on_no_command_line(slurm: Slurm, profile: Callable[..., str], tmp_path: Path) -> None:
    with open_client(profile()) as client:
        job, process = client.executor().submit(where).result(60)
        files = list((tmp_path / "shared").glob("keys-*/*"))
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (*files, files[0].parent)}
        content = [path.read_text() for path in files]
        command = Path(f"/proc/{process}/cmdline").read_text() + slurm.run(
            "scontrol", "write", "batch_script", job, "-"
        )
    assert len(files) == 3
    assert modes == {0o600, 0o700}
    assert all("BEGIN" in text and text.splitlines()[1] not in command for text in content)
    assert "--tls-key" in command
    assert not list((tmp_path / "shared").glob("keys-*"))


def test_a_run_without_nodes_says_so_and_ends(
    slurm: Slurm, profile: Callable[..., str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlif_core.compute.watch._SAID_AFTER", 3.0)
    slurm.run("scontrol", "update", f"NodeName={slurm.node}", "State=DRAIN", "Reason=test")
    try:
        with caplog.at_level(logging.WARNING), pytest.raises(ClusterError, match="no worker for 12 s"):
            _wait_for_a_worker(profile(give_up_after="12 s"))
    finally:
        slurm.run("scontrol", "update", f"NodeName={slurm.node}", "State=RESUME")
    assert any("no worker for" in record.getMessage() for record in caplog.records)


def _wait_for_a_worker(cluster: str) -> None:
    """Both what was given to the cluster and the block that used it end with the reason."""
    with open_client(cluster) as client:
        future = client.executor().submit(where)
        with pytest.raises(ClusterError, match=r"no worker for 12 s: job .* is PENDING"):
            future.result(60)
        with pytest.raises(ClusterError):
            client.executor().submit(where)


def test_jobs_that_slurm_would_not_take_are_refused_at_once(slurm: Slurm, profile: Callable[..., str]) -> None:
    wrong = profile(cpu=CPU | {"partition": "no-such"})
    with pytest.raises(ConfigurationError, match="Invalid partition"), open_client(wrong):
        pass


#: A package with a method for the input function that kills its worker for one scan.
DEADLY = """
import os, signal
from dlif_core.errors import BloodError
from dlif_core.input_function import Method, Options

class DeadlyOptions(Options):
    victim: str = ""
    scan: str = ""

    def of_scan(self, place):
        return self.model_copy(update={"scan": place.scan})

def estimate(scan, recordings, options):
    if options.scan == options.victim:
        os.kill(os.getpid(), signal.SIGKILL)
    raise BloodError("this scan is spared.")

METHOD = Method("deadly", "Deadly", DeadlyOptions, estimate)
"""


@pytest.fixture
def deadly(tmp_path: Path) -> Path:
    """The folder in which that package is installed."""
    folder = tmp_path / "packages"
    metadata = folder / "deadly-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / "deadly.py").write_text(DEADLY)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[dlif.input_functions]\ndeadly = deadly:METHOD\n")
    return folder


def write_study(folder: Path, output: str, **content: object) -> Path:
    path = folder / f"{output}.yaml"
    fits = [{"model": "patlak", "t_star": 15}]
    study = {"name": "slurm", "data": "bids", "output": output, "kinetics": fits, "input_functions": {"arterial": {}}}
    path.write_text(yaml.safe_dump(study | content))
    return path


@pytest.fixture
def dlif(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command in a process of its own, which does not outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, packages: Path = tmp_path) -> subprocess.Popen[str]:
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join((str(Path(__file__).parents[2]), str(packages))),
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        started.append(subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **output))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def contents(output: Path) -> dict[str, str]:
    """Digest of the content of every product that is there."""
    if not (output / "dlif-store.json").exists():
        return {}
    store = open_store(str(output))
    markers = {name: store.marker(name) for name in store.products()}
    return {name: marker.content for name, marker in markers.items() if marker}


@PATIENT
def test_twelve_scans_outlive_a_lost_job_and_a_killed_worker(
    slurm: Slurm, profile: Callable[..., str], tmp_path: Path, dlif: Callable[..., subprocess.Popen[str]]
) -> None:
    write_cohort(tmp_path / "bids", 12, voxel_size=3.0)
    here, there = (write_study(tmp_path, name) for name in ("here", "there"))
    before = slurm.jobs().keys()
    run = dlif("run", there, "--cluster", profile())
    done = wait_for(lambda: [name for name in contents(tmp_path / "there") if "input_functions" in name], run)
    assert len(done) < 12
    lost, kept = sorted(slurm.jobs("RUNNING"))[:2]
    slurm.run("scancel", lost)
    os.kill(worker_of(kept), signal.SIGKILL)
    said, _ = run.communicate(timeout=500)
    assert run.returncode == 0, said
    assert len(slurm.jobs().keys() - before) >= 3
    local = dlif("run", here, "--shard", "1/1", "--workers", "2")
    assert local.wait(500) == 0
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@PATIENT
def test_a_scan_that_kills_its_workers_fails_with_the_reason_and_the_others_complete(
    slurm: Slurm, profile: Callable[..., str], tmp_path: Path, deadly: Path, dlif: Callable[..., subprocess.Popen[str]]
) -> None:
    write_cohort(tmp_path / "bids", 4, voxel_size=3.0)
    methods = {"arterial": {}, "deadly": {"victim": "sub-m02"}}
    study = write_study(tmp_path, "out", input_functions=methods)
    run = dlif("run", study, "--cluster", profile(), packages=deadly)
    said, _ = run.communicate(timeout=500)
    assert run.returncode == ExitCode.PARTIAL, said
    status = dlif("status", study, "--json", packages=deadly).communicate()[0]
    scans = {scan["scan"]: scan for scan in json.loads(status)}
    assert [scan["status"] for scan in scans.values()] == ["success", "failed", "success", "success"]
    assert "the worker died 4 times on this step" in str(scans["sub-m02"])


def wait_for(condition: Callable[[], Result], process: subprocess.Popen[str]) -> Result:
    """What a condition gives once it is true, while a process runs."""
    while not (found := condition()):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.2)
    return found


def worker_of(job: str) -> int:
    """A worker process of a job of Slurm."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("SLURM_JOB_ID") == job and "spawn_main" in " ".join(process.cmdline()):
                return process.pid
    raise AssertionError(f"job {job} has no worker")
