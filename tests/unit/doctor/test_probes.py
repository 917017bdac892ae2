"""What the probes of `dlif doctor` find, of sound and of spoilt surroundings."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlif_core.doctor import installation
from dlif_core.doctor.cluster import look_at_slurm
from dlif_core.doctor.installation import look_at_packages, look_at_python
from dlif_core.doctor.machine import look_at_gpu, look_at_machine
from dlif_core.doctor.probe import Diagnosis, Health, Probe, Surroundings
from dlif_core.doctor.results import look_at_model
from dlif_core.doctor.storage import look_at_data, look_at_storage
from dlif_core.store.folder import LocalFolder
from dlif_core.study.config import load_study
from flows.doctor import look_at_server
from tests.unit.ingest.bids.dataset import make_dataset
from tests.unit.study.test_config import study_file

NOWHERE = Surroundings()


@pytest.fixture
def surroundings(tmp_path: Path) -> Surroundings:
    make_dataset(tmp_path / "bids")
    return Surroundings(load_study(study_file(tmp_path)))


def faults(found: Iterator[Diagnosis]) -> list[Diagnosis]:
    return [one for one in found if one.health is not Health.OK]


def test_all_is_sound_here(surroundings: Surroundings) -> None:
    for look in (look_at_python, look_at_packages, look_at_gpu, look_at_model, look_at_data, look_at_storage):
        found = list(look(surroundings))
        assert found
        assert faults(iter(found)) == []
        assert not any(one.remedy for one in found)


@pytest.mark.parametrize(("package", "version"), [("fastapi", "0.151.0"), ("sqlalchemy", "2.1.0"), ("zarr", "2.18")])
def test_a_package_that_fails_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, package: str, version: str
) -> None:
    known = installation.version
    monkeypatch.setattr(installation, "version", lambda name: version if name == package else known(name))
    (fault,) = faults(look_at_packages(NOWHERE))
    assert fault.health is Health.FAULT
    assert f"{package} is {version}" in fault.found
    assert "pip install" in fault.remedy


def test_few_open_files_are_a_warning() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        (found,) = [one for one in faults(look_at_machine(NOWHERE)) if one.subject == "open files"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert found.health is Health.WARNING
    assert "ulimit" in found.remedy


class TestStorage:
    def test_leaves_nothing_behind(self, surroundings: Surroundings, tmp_path: Path) -> None:
        (done, space) = look_at_storage(surroundings)
        assert "written, read, created once, deleted" in done.found
        assert "GB free" in space.found
        assert list((tmp_path / "out").iterdir()) == []

    def test_a_file_in_its_place(self, surroundings: Surroundings, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("")
        (fault,) = look_at_storage(surroundings)
        assert fault.health is Health.FAULT
        assert "output" in fault.remedy

    def test_without_conditional_writes(self, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
        def create(folder: LocalFolder, key: str, data: bytes) -> bool:
            folder.write(key, data)
            return True

        monkeypatch.setattr(LocalFolder, "create", create)
        (fault,) = faults(look_at_storage(surroundings))
        assert fault.subject == "conditional write"

    def test_with_stale_reads(self, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(LocalFolder, "read", lambda folder, key: b"ours" if key.endswith("once") else b"first")
        (fault,) = faults(look_at_storage(surroundings))
        assert fault.subject == "write"

    def test_that_deletes_nothing(self, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(LocalFolder, "remove", lambda folder, key: None)
        (fault,) = faults(look_at_storage(surroundings))
        assert fault.subject == "delete"

    def test_with_another_clock(self, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dlif_core.doctor.storage.time.time", lambda: 0.0)
        (fault,) = faults(look_at_storage(surroundings))
        assert fault.subject == "clock"
        assert fault.health is Health.WARNING


def test_scans_that_can_not_be_used_are_counted(surroundings: Surroundings, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("x")
    blood = next(tmp_path.glob("bids/**/*_blood.tsv"))
    blood.unlink()
    blood.symlink_to(tmp_path / "other")
    (fault,) = look_at_data(surroundings)
    assert fault.health is Health.WARNING
    assert "1 of them" in fault.found


def test_a_model_that_is_not_the_pinned_one_is_a_fault(tmp_path: Path) -> None:
    study = load_study(study_file(tmp_path, input_functions={"learned": {"digest": "0" * 64}}))
    (fault,) = Probe("model", look_at_model).diagnoses(Surroundings(study))
    assert fault.health is Health.FAULT
    assert "pinned" in fault.found


@pytest.fixture
def slurm(tmp_path: Path) -> Surroundings:
    profile = tmp_path / "slurm.yaml"
    profile.write_text("kind: slurm\ncpu: {cores: 1, memory: 2 GB, walltime: 10 min, jobs: 1}\n")
    return Surroundings(cluster=str(profile))


class TestSlurm:
    def test_that_is_not_there_is_missed_only_where_it_is_used(
        self, tmp_path: Path, slurm: Surroundings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        (found,) = look_at_slurm(NOWHERE)
        assert found.health is Health.OK
        (found,) = look_at_slurm(slurm)
        assert found.health is Health.FAULT

    def test_that_does_not_answer_says_so(
        self, tmp_path: Path, slurm: Surroundings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("sbatch", "squeue", "sinfo", "scontrol", "scancel"):
            program = tmp_path / name
            program.write_text("#!/bin/sh\necho 'Slurmctld(primary) at head is DOWN'\n")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        (found,) = look_at_slurm(slurm)
        assert found.health is Health.FAULT
        assert "DOWN" in found.found


def test_a_server_that_does_not_answer_is_a_fault_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://doe:geheim12@127.0.0.1:9/api"}):
        found = list(look_at_server(NOWHERE))
    assert [one.health for one in found] == [Health.WARNING, Health.FAULT]
    assert "PREFECT_API_AUTH_STRING" in found[0].remedy
    assert "geheim12" not in str(found)


def test_a_probe_that_breaks_is_a_fault_that_quotes_nothing() -> None:
    def broken(_: Surroundings) -> Iterator[Diagnosis]:
        yield Diagnosis("a", Health.OK, "b")
        float("Jane Doe")

    first, second = Probe("broken", broken).diagnoses(NOWHERE)
    assert first.health is Health.OK
    assert second.health is Health.FAULT
    assert "Jane" not in second.found
