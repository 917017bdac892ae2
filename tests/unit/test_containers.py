"""Files of the images, compose, Kubernetes and Apptainer, without a container: lint, locks, and what guards them."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
KUBERNETES = ROOT / "deployments" / "kubernetes"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
LOCKS = ("build.lock", "requirements.lock", "requirements-gpu.lock")


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)


def tool(name: str, *arguments: str | Path) -> None:
    done = run(Path(sys.executable).with_name(name), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", (DOCKER / lock).read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu"])
def test_dockerfiles_pass_hadolint(name: str) -> None:
    tool("hadolint", DOCKER / name)


def test_the_images_differ_in_torch_only() -> None:
    """What is mended in one Dockerfile is mended in the other."""
    files = [(DOCKER / name).read_text().splitlines() for name in ("Dockerfile", "Dockerfile.gpu")]
    files = [[line for line in lines if line[:1] not in ("#", "")] for lines in files]
    changed = [line[1:].strip() for line in difflib.unified_diff(*files, n=0) if re.match(r"[+-](?![+-])", line)]
    assert changed
    assert all(
        re.search(r"requirements(-gpu)?\.lock|torch|PIP_EXTRA_INDEX_URL|NVIDIA|DO_NOT_TRACK", line) for line in changed
    )


def test_compose_is_valid() -> None:
    tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yaml")


@pytest.mark.parametrize("file", sorted(KUBERNETES.glob("[!k]*.yaml")), ids=lambda file: file.stem)
def test_kubernetes_objects_are_valid_and_applied(file: Path) -> None:
    for resource in yaml.safe_load_all(file.read_text()):
        kubernetes_validate.validate(resource, "1.29", strict=True)
    assert file.name in yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_digest_and_no_index_is_named(lock: str) -> None:
    text = (DOCKER / lock).read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(lock)) > 20
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_the_lock_is_what_the_project_asks_for() -> None:
    """Else `make lock` was forgotten."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    asked = [*project, *(line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1] != "#")]
    locked = pins("requirements-gpu.lock")
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(locked[requirement.name]), requirement


def test_the_image_without_gpu_holds_the_same_without_cuda() -> None:
    cpu, gpu = pins("requirements.lock"), pins("requirements-gpu.lock")
    assert cpu.items() < gpu.items()
    assert all(re.match(r"nvidia-|cuda-|torch$|triton$", name) for name in gpu.keys() - cpu.keys())


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_services_are_guarded(name: str) -> None:
    service: dict[str, Any] = COMPOSE["services"][name]
    assert (service["cap_drop"], service["read_only"]) == (["ALL"], True)
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "restart", "networks"} <= service.keys()
    assert "privileged" not in service
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    secret = re.compile("PASSWORD|AUTH_STRING|SECRET|CREDENTIALS|KEY")
    values = {key: value for key, value in service.get("environment", {}).items() if secret.search(key)}
    assert all(key.endswith("_FILE") and value.startswith("/run/secrets/") for key, value in values.items())
    assert {value.removeprefix("/run/secrets/") for value in values.values()} <= set(service["secrets"])
    own = "dlif" in service["image"]
    assert own == ("DLIF_HEALTH_URL" in service["environment"]) if "environment" in service else not own
    assert own or ("healthcheck" in service and re.search(r":\d", service["image"]))


def test_secrets_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert run("sh", DOCKER / "secrets.sh", folder).returncode == 0
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {f"secrets/{file.name}" for file in folder.iterdir()} == {s["file"] for s in COMPOSE["secrets"].values()}
    first = (folder / "postgres_password").read_text()
    assert len(first) == 48
    assert run("sh", DOCKER / "secrets.sh", folder).returncode != 0
    assert (folder / "postgres_password").read_text() == first
    assert run("git", "check-ignore", "-q", "docker/secrets/postgres_password").returncode == 0


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Folder with a dlif and a prefect that tell how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("dlif", "prefect"):
        (folder / name).write_text(f'#!/bin/sh\necho {name} "$@" with "${{PREFECT_API_AUTH_STRING-nothing}}"\n')
        (folder / name).chmod(0o755)
    return folder


def test_the_entry_point_reads_secrets_from_files(programs: Path, tmp_path: Path) -> None:
    path = f"{programs}:{os.defpath}"
    file = tmp_path / "auth"
    file.write_text("dlif:one-secret")
    entry = DOCKER / "entrypoint.sh"
    assert run(entry, "run", "a b", PATH=path).stdout == "dlif run a b with nothing\n"
    said = run(entry, "prefect", "worker", PATH=path, PREFECT_API_AUTH_STRING_FILE=str(file))
    assert said.stdout == "prefect worker with dlif:one-secret\n"
    file.write_text("")
    refused = run(entry, "prefect", PATH=path, PREFECT_API_AUTH_STRING_FILE=str(file))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"PREFECT_API_AUTH_STRING_FILE: {file} is empty or can't be read" in refused.stderr


def test_the_apptainer_definition_is_whole() -> None:
    header, *sections = re.split(r"^%", (DOCKER / "dlif.def").read_text(), flags=re.MULTILINE)
    fields = dict(re.findall(r"^(\w+): (\S+)$", header, re.MULTILINE))
    assert fields == {"Bootstrap": "docker-archive", "From": "dlif.tar"}
    bodies = {name: body for name, _, body in (section.partition("\n") for section in sections)}
    assert bodies.keys() == {"labels", "environment", "runscript", "test", "help"}
    for name in ("environment", "runscript", "test"):
        assert subprocess.run(["sh", "-n"], input=bodies[name], text=True, check=False).returncode == 0
