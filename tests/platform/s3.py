"""A real S3 server (SeaweedFS) for tests: on this machine alone, with credentials, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import fsspec
import pytest

from tests.ports import free_ports

BUCKET = "study"
OWNER = ("owner-key", "owner-secret")
READER = ("reader-key", "reader-secret")  # may list and read, not write
_PORTS = [f"{part}.{port}" for part in ("master", "volume", "filer", "s3") for port in ("port", "port.grpc")]
_START_SECONDS = 60


class S3Server:
    """SeaweedFS as one process: master, volume server, filer and S3 gateway.

    Parameters
    ----------
    folder
        Where data, credentials and log lie; a server that is started there again has the same data and ports.
    volumes, volume_megabytes
        Its capacity; a bucket takes some volumes of its own.
    """

    def __init__(self, folder: Path, volumes: int = 100, volume_megabytes: int = 64) -> None:
        self.folder = folder
        self._volumes, self._volume_megabytes = volumes, volume_megabytes
        # By its own rule a port of gRPC is 10000 higher, which may be taken or not exist.
        self._ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True)
        self._write_credentials()

    @property
    def endpoint(self) -> str:
        """Address of the S3 gateway."""
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    @property
    def environment(self) -> dict[str, str]:
        """What a person sets in the environment to use it."""
        return {"AWS_ENDPOINT_URL": self.endpoint, **credentials(OWNER)}

    def uri(self, path: str) -> str:
        """URI of a path in the bucket of the tests."""
        return f"s3://{BUCKET}/{path}"

    def start(self) -> None:
        """Start it, and wait until it takes and gives a file."""
        program = Path(sys.executable).with_name("weed")
        with (self.folder / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, *self._arguments()],
                cwd=self.folder,
                env={"HOME": str(self.folder), "PATH": os.defpath},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready()

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """End it at once and start it on the same data."""
        self.kill()
        self.start()

    def _arguments(self) -> list[str]:
        ports = [f"-{name}={port}" for name, port in self._ports.items()]
        return [
            "-logtostderr=true",
            "server",
            f"-dir={self.folder / 'data'}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            *ports,
            f"-master.volumeSizeLimitMB={self._volume_megabytes}",
            "-master.telemetry=false",
            "-master.resumeState=false",
            f"-volume.max={self._volumes}",
            "-volume.preStopSeconds=1",
            "-s3",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={self.folder / 's3.json'}",
        ]

    def _write_credentials(self) -> None:
        identities = [
            _identity("owner", OWNER, ("Admin", "Read", "Write", "List", "Tagging")),
            _identity("reader", READER, ("Read", "List")),
        ]
        file = self.folder / "s3.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps({"identities": identities}))

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while not self._answers():
            if time.monotonic() > end or not self._process or self._process.poll() is not None:
                self.kill()
                pytest.fail(f"the S3 server did not start:\n{(self.folder / 'weed.log').read_text()[-3000:]}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        """Whether S3 answers and a volume can be had."""
        try:
            for url in (f"http://127.0.0.1:{self._ports['master.port']}/cluster/healthz", f"{self.endpoint}/healthz"):
                with urlopen(url, timeout=5):
                    pass
        except (URLError, OSError):
            return False
        return True


def _identity(name: str, keys: tuple[str, str], actions: tuple[str, ...]) -> dict[str, object]:
    return {
        "name": name,
        "credentials": [{"accessKey": keys[0], "secretKey": keys[1]}],
        "actions": list(actions),
    }


def credentials(keys: tuple[str, str]) -> dict[str, str]:
    """Credentials as the environment gives them."""
    return {"AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1], "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The server with a bucket, and the environment of a person who may use it."""
    from tests.platform.conftest import require_programs  # which imports this module

    require_programs("weed")
    server = S3Server(tmp_path_factory.mktemp("s3"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        server.start()
        try:
            fsspec.filesystem("s3", skip_instance_cache=True).mkdir(BUCKET)
            yield server
        finally:
            server.kill()


@pytest.fixture
def s3_folder(s3_server: S3Server) -> str:
    """URI of a folder in the bucket that no other test uses."""
    return s3_server.uri(uuid.uuid4().hex)
