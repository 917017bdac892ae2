"""The services of docker/compose.yaml together, by its own settings: our image in containers, PostgreSQL and S3 beside.

The images of PostgreSQL and SeaweedFS are in registries; here the same programs run as processes of the machine. The
containers share its network: the names of services lead to this machine, and ports are free ones.
"""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec
import httpx
import pytest
import yaml

from dlif_core.phantom import write_cohort
from tests.platform.containers import ROOT, podman
from tests.platform.postgres import Postgres
from tests.platform.s3 import BUCKET, S3Server
from tests.ports import free_ports
from tests.prefect_server import PATIENCE

pytestmark = pytest.mark.timeout(900)


class Stack:
    """Containers of compose.yaml.

    Parameters
    ----------
    image
        Image of the services that are our own.
    folder
        Holds the secrets, and the volumes by their names.
    ports
        Ports of compose.yaml → ports of this machine.
    database
        Variables of the database, as it is here.
    """

    def __init__(self, image: str, folder: Path, ports: dict[str, int], database: dict[str, str]) -> None:
        text = (ROOT / "docker" / "compose.yaml").read_text().replace("0.0.0.0", "127.0.0.1")
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)  # settings at their defaults
        text = re.sub(r"\b(4200|5432|8080|8333)\b", lambda found: str(ports[found[1]]), text)
        self._services: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]
        self._services["server"]["environment"] |= database
        self._image, self._folder = image, folder
        self._prefix = f"dlif-{uuid.uuid4().hex[:8]}"

    def up(self, name: str) -> None:
        """Start a service, and wait until it is healthy."""
        self._podman(*self._options(name), f"--name={self._prefix}-{name}", "--detach", *self._command(name))
        deadline = time.monotonic() + PATIENCE
        health = ["podman", "healthcheck", "run", f"{self._prefix}-{name}"]
        while subprocess.run(health, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, self.told(name)
            time.sleep(1)

    def run(self, name: str, *command: str, check: bool = True) -> str:
        """Run something in a container of the service, as `docker compose run --rm` does; returns what it printed."""
        return self._podman(*self._options(name), "--rm", self._image, *command, check=check)

    def told(self, name: str) -> str:
        """All that is known of a running container from outside: its settings and its log."""
        commands = (["inspect"], ["logs"])
        container = f"{self._prefix}-{name}"
        done = [subprocess.run(["podman", *command, container], capture_output=True, text=True) for command in commands]
        return "\n".join(one.stdout + one.stderr for one in done)

    def down(self) -> None:
        """Remove what was started."""
        names = [f"{self._prefix}-{name}" for name in self._services]
        subprocess.run(["podman", "rm", "--force", "--ignore", *names], capture_output=True, check=False)

    def _command(self, name: str) -> list[str]:
        return [self._image, *self._services[name]["command"]]

    def _options(self, name: str) -> list[str]:
        service = self._services[name]
        volumes = [volume.split(":") for volume in service.get("volumes", ())]
        options = {
            "cap-drop": service["cap_drop"],
            "security-opt": service["security_opt"],
            "tmpfs": service.get("tmpfs", ()),
            "env-file": [ROOT / "docker" / service["env_file"]] if "env_file" in service else (),
            "env": [f"{key}={value}" for key, value in service["environment"].items()],
            "volume": [
                *(f"{self._folder}/secrets/{name}:/run/secrets/{name}:ro" for name in service["secrets"]),
                *(f"{self._folder / volume}:{inside}" for volume, inside in volumes),
            ],
            "memory": [service["mem_limit"]],
            "cpus": [service["cpus"]],
            "add-host": [f"{other}:127.0.0.1" for other in self._services],
        }
        given = [f"--{option}={value}" for option, values in options.items() for value in values]
        assert (service["init"], service["read_only"]) == (True, True)
        return ["--init", "--read-only", *given]

    @staticmethod
    def _podman(*arguments: str, check: bool = True) -> str:
        done = subprocess.run(podman(*arguments), capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Secrets as they are made for compose.yaml, and empty volumes that everyone may write to."""
    subprocess.run(["sh", ROOT / "docker" / "secrets.sh", tmp_path / "secrets"], check=True, capture_output=True)
    for name in ("data", "scratch"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    return tmp_path


@pytest.fixture
def objects(folder: Path) -> Iterator[S3Server]:
    """The S3 store with the secrets of compose.yaml, and a bucket."""
    server = S3Server(folder / "s3")
    shutil.copyfile(folder / "secrets" / "s3_identities", folder / "s3" / "s3.json")
    server.start()
    try:
        bucket(folder, server).mkdir(BUCKET)
        yield server
    finally:
        server.kill()


def bucket(folder: Path, server: S3Server) -> Any:
    credentials = configparser.ConfigParser()
    credentials.read(folder / "secrets" / "s3_credentials")
    key, secret = credentials["default"].values()
    return fsspec.filesystem("s3", key=key, secret=secret, endpoint_url=server.endpoint, skip_instance_cache=True)


@pytest.fixture
def database(folder: Path, postgres: Postgres) -> dict[str, str]:
    """A database, and its password in place of the one that was made."""
    url = urlsplit(postgres.new_database(f"compose_{uuid.uuid4().hex[:8]}"))
    file = folder / "secrets" / "postgres_password"
    file.unlink()
    file.write_text(str(url.password))
    file.chmod(0o444)
    return {
        "PREFECT_SERVER_DATABASE_USER": str(url.username),
        "PREFECT_SERVER_DATABASE_NAME": url.path.removeprefix("/"),
        "PREFECT_SERVER_DATABASE_PORT": str(url.port),
    }


@pytest.fixture
def server_port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def stack(image: str, folder: Path, objects: S3Server, database: dict[str, str], server_port: int) -> Iterator[Stack]:
    ports = {
        "4200": server_port,
        "5432": int(database["PREFECT_SERVER_DATABASE_PORT"]),
        "8080": free_ports(1)[0],
        "8333": int(objects.endpoint.rpartition(":")[2]),
    }
    stack = Stack(image, folder, ports, database | {"PREFECT_SERVER_API_PORT": str(server_port)})
    try:
        yield stack
    finally:
        stack.down()


def test_a_study_on_s3_is_worked_on_by_the_worker(
    stack: Stack, folder: Path, objects: S3Server, server_port: int
) -> None:
    write_cohort(folder / "data" / "bids", 1, seed=2, voxel_size=3.0)
    study = {
        "name": "mice",
        "data": "bids",
        "output": f"s3://{BUCKET}/mice",
        "input_functions": {"arterial": {}},
        "kinetics": [{"model": "patlak", "t_star": 15, "maps": False}],
    }
    (folder / "data" / "study.yaml").write_text(yaml.safe_dump(study))
    stack.up("server")
    url = f"http://127.0.0.1:{server_port}/api/admin/version"
    auth = (folder / "secrets" / "prefect_auth").read_text()
    user, _, password = auth.partition(":")
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=(user, "wrong")).status_code == 401
    assert httpx.get(url, auth=(user, password)).status_code == 200
    stack.up("worker")
    assert "mice-nightly" in stack.run("worker", "deploy", "prefect", "/data/study.yaml")
    said = stack.run("worker", "prefect", "deployment", "run", "cohort/mice", "--watch", check=False)
    assert "Flow run finished successfully" in said, stack.told("worker")
    assert bucket(folder, objects).exists(f"{BUCKET}/mice/cohort")
    assert "success" in stack.run("worker", "status", "/data/study.yaml")
    for file in (folder / "secrets").iterdir():
        secrets = re.findall(r"[0-9a-f]{48}|one-password", file.read_text())
        assert secrets
        assert not [name for name in ("server", "worker") if any(one in stack.told(name) for one in secrets)], file.name
