"""`dlif doctor` against real services: Slurm, S3, a Prefect server with a login."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlif_core.doctor.cluster import look_at_slurm, look_at_workers
from dlif_core.doctor.probe import Health, Probe, Surroundings
from dlif_core.doctor.storage import look_at_storage
from dlif_core.study.config import load_study
from tests.platform.s3 import READER, S3Server, credentials
from tests.platform.slurm import Slurm
from tests.prefect_server import prefect_server
from tests.unit.study.test_config import study_file

LOGIN = "admin:geheim-1234"


def test_slurm_answers_and_a_job_of_it_has_the_same_versions(slurm: Slurm, tmp_path: Path) -> None:
    profile = tmp_path / "slurm.yaml"
    profile.write_text("kind: slurm\ncpu: {cores: 1, memory: 2 GB, walltime: 10 min, jobs: 1}\n")
    surroundings = Surroundings(cluster=str(profile))
    (found,) = look_at_slurm(surroundings)
    assert found.health is Health.OK
    assert "work" in found.found
    (found,) = Probe("workers", look_at_workers).diagnoses(surroundings)
    assert found.health is Health.OK, found
    assert "same versions" in found.found
    assert slurm.jobs()


def test_storage_on_s3_is_written_conditionally_and_left_clean(
    s3_server: S3Server, s3_folder: str, tmp_path: Path
) -> None:
    surroundings = Surroundings(load_study(study_file(tmp_path, output=s3_folder)))
    (found,) = look_at_storage(surroundings)
    assert found.health is Health.OK, found
    assert "created once" in found.found


def test_storage_that_may_not_be_written_is_a_fault(
    s3_server: S3Server, s3_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in credentials(READER).items():
        monkeypatch.setenv(name, value)
    (found,) = Probe("storage", look_at_storage).diagnoses(
        Surroundings(load_study(study_file(tmp_path, output=s3_folder)))
    )
    assert found.health is Health.FAULT
    assert "may not write" in found.found
    assert READER[1] not in str(found)
    assert found.remedy


def test_a_server_with_a_login(tmp_path: Path) -> None:
    with prefect_server(tmp_path, PREFECT_SERVER_API_AUTH_STRING=LOGIN) as server:
        environment = {name: value for name, value in server.environment.items() if "AUTH" not in name}
        refused = doctor(environment, tmp_path)
        assert refused["prefect"]["health"] == "fault"
        assert "PREFECT_API_AUTH_STRING" in refused["prefect"]["remedy"]
        let_in = doctor(environment | {"PREFECT_API_AUTH_STRING": LOGIN}, tmp_path)
        assert let_in["prefect"]["health"] == "ok"
        assert "with a login" in let_in["prefect"]["found"]
        assert "geheim" not in json.dumps([refused, let_in])


def doctor(environment: dict[str, str], folder: Path) -> dict[str, dict[str, str]]:
    """What the command finds, by subject."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "doctor", "--json"],
        env=os.environ | environment | {"PREFECT_HOME": str(folder / "client")},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return {one["subject"]: one for one in json.loads(done.stdout)["found"]}
