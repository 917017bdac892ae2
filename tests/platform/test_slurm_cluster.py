"""A real Slurm as the cluster of a run: jobs come with the work and are replaced; without any the run ends."""

from __future__ import annotations

import logging
import os
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dlif_core.compute.cluster import open_client
from dlif_core.errors import ClusterError, ConfigurationError
from tests.platform.slurm import Slurm

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
        with open_client(profile(give_up_after="12 s")) as client, caplog.at_level(logging.WARNING):
            future = client.executor().submit(where)
            with pytest.raises(ClusterError, match=r"no worker for 12 s: job .* is PENDING"):
                future.result(60)
            with pytest.raises(ClusterError):
                client.executor().submit(where)
    finally:
        slurm.run("scontrol", "update", f"NodeName={slurm.node}", "State=RESUME")
    assert any("no worker for" in record.getMessage() for record in caplog.records)


def test_jobs_that_slurm_would_not_take_are_refused_at_once(slurm: Slurm, profile: Callable[..., str]) -> None:
    wrong = profile(cpu=CPU | {"partition": "no-such"})
    with pytest.raises(ConfigurationError, match="Invalid partition"), open_client(wrong):
        pass
