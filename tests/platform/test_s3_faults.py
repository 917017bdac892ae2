"""What goes wrong with a bucket is told in one line, without a traceback and without a secret."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest

from tests.platform.s3 import OWNER, READER, S3Server, credentials
from tests.platform.s3_study import dlif, upload, write_study
from tests.ports import free_ports

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a study that was never run."""
    folder = tmp_path_factory.mktemp("faults")
    write_study(folder, 1)
    upload(folder, s3_server.uri("faults"))
    return s3_server.uri("faults/study.yaml")


def one_line(study: str, home: Path, *verb: str, **environment: str) -> str:
    """The one line with which the command refuses."""
    done = dlif(*(verb or ("plan",)), study, home=home, **environment)
    assert done.returncode == 4, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("Error: ")
    for secret in (OWNER[1], READER[1], "some-secret", "some-token"):
        assert secret not in done.stderr
    return done.stderr


WRONG = {
    "wrong access key": ({"AWS_ACCESS_KEY_ID": "nobody"}, "the storage refuses these credentials"),
    "wrong secret": ({"AWS_SECRET_ACCESS_KEY": "some-secret"}, "the storage refuses these credentials"),
    "unknown session": ({"AWS_SESSION_TOKEN": "some-token"}, "the storage refuses these credentials"),
    "no credentials": ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "there are no credentials for S3"),
    "no such host": ({"AWS_ENDPOINT_URL": "http://nowhere.invalid:9"}, "no storage answers"),
    "no TLS there": ({"AWS_ENDPOINT_URL": "https"}, "no storage answers"),
    "may not write": (credentials(READER), "these credentials may not write there"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_with_the_access_is_said(kind: str, study: str, s3_server: S3Server, tmp_path: Path) -> None:
    environment, words = WRONG[kind]
    if environment.get("AWS_ENDPOINT_URL") == "https":
        environment = {"AWS_ENDPOINT_URL": s3_server.endpoint.replace("http:", "https:")}
    assert words in one_line(study, tmp_path, AWS_EC2_METADATA_DISABLED="true", **environment)


def test_no_server(study: str, tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_ports(1)[0]}"
    line = one_line(study, tmp_path, AWS_ENDPOINT_URL=endpoint)
    assert endpoint in line
    assert "Check the address (AWS_ENDPOINT_URL) and the server" in line


def test_no_bucket(s3_server: S3Server, tmp_path: Path) -> None:
    done = dlif("plan", "s3://no-such-bucket/study.yaml", home=tmp_path)
    assert done.returncode in (2, 4)
    assert len(done.stderr.splitlines()) == 1
    assert "no such" in done.stderr


class ExpiredToken(BaseHTTPRequestHandler):
    """Answers as S3 does to a session that has expired; no server here can issue one."""

    answer: ClassVar[bytes] = b"<Error><Code>ExpiredToken</Code><Message>It has expired.</Message></Error>"

    def do_GET(self) -> None:
        self.send_response(400)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.answer)

    do_HEAD = do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_expired_credentials(study: str, tmp_path: Path) -> None:
    folder = tmp_path / "local"
    folder.mkdir()
    path = write_study(folder, 1, output="s3://study/expired")
    with serving(ExpiredToken) as endpoint:
        line = one_line(str(path), tmp_path, AWS_ENDPOINT_URL=endpoint, AWS_SESSION_TOKEN="some-token")
    assert "the credentials have expired. Get new ones." in line


def _fill(fs: Any) -> None:
    """Write until the server refuses, in whatever words."""
    with suppress(OSError):
        for number in range(200):
            fs.pipe_file(f"small/{number}", os.urandom(500_000))
        pytest.fail("the server is never full")


def test_a_full_bucket(tmp_path: Path) -> None:
    """A server with room for one small volume; what it can't take is waited for, as another may make room."""
    server = S3Server(tmp_path / "s3", volumes=1, volume_megabytes=1)
    server.start()
    try:
        environment = server.environment | {"DLIF_STORAGE_WAIT": "2"}
        fs = fsspec.filesystem(
            "s3", endpoint_url=server.endpoint, key=OWNER[0], secret=OWNER[1], skip_instance_cache=True
        )
        fs.mkdir("small")
        _fill(fs)
        folder = tmp_path / "local"
        folder.mkdir()
        study = write_study(folder, 1, output="s3://small/results")
        line = one_line(str(study), tmp_path, "plan", **environment)
        assert "it may be full" in line.lower() or "full" in line
    finally:
        server.kill()


class Stalled(BaseHTTPRequestHandler):
    """A server that takes a request and never answers."""

    released = threading.Event()

    def do_GET(self) -> None:
        self.released.wait(60)

    do_HEAD = do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_server_that_never_answers(study: str, tmp_path: Path) -> None:
    with serving(Stalled) as endpoint:
        try:
            line = one_line(
                study, tmp_path, AWS_ENDPOINT_URL=endpoint, FSSPEC_S3='{"config_kwargs": {"read_timeout": 1}}'
            )
        finally:
            Stalled.released.set()
    assert "no storage answers (ReadTimeoutError)" in line
