"""Files of web servers: one that is not there is told from a server that does not answer, or refuses."""

import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from dlif_core.errors import ConfigurationError, ExitCode, MissingInputError, StorageError
from dlif_core.networks.bundle.remote import local_copy
from dlif_core.storage import file_system, is_file, is_transient
from dlif_core.store import InputDigests, create_store
from dlif_core.study.config import load_study
from dlif_core.study.scans import included_scans
from tests.unit.study.test_config import study_file

ANSWERS = {"there": 200, "missing": 404, "gone": 410, "denied": 403, "login": 401, "broken": 500, "busy": 503}


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the name of a file stands for."""

    def do_GET(self) -> None:
        self.send_response(ANSWERS[self.path.strip("/").partition("/")[0].partition(".")[0]])
        content = b"name: a\n"
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def nobody() -> str:
    """Address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_what_is_there_and_what_is_not(server: str) -> None:
    fs, place = file_system(f"{server}/there.yaml")
    assert fs.cat_file(place) == b"name: a\n"
    assert is_file(f"{server}/there.yaml")
    assert not is_file(f"{server}/missing.yaml")
    assert not is_file(f"{server}/gone.yaml")


@pytest.mark.parametrize("ask", ["info", "exists", "isfile", "cat_file"])
@pytest.mark.parametrize(("name", "kind"), [("broken", StorageError), ("busy", StorageError), ("denied", OSError)])
def test_a_server_that_refuses_is_told(server: str, ask: str, name: str, kind: type[Exception]) -> None:
    fs, place = file_system(f"{server}/{name}.yaml")
    with pytest.raises(kind, match=f"the server answers {ANSWERS[name]}") as caught:
        getattr(fs, ask)(place)
    assert is_transient(caught.value) is (kind is StorageError)


@pytest.mark.parametrize("ask", ["info", "exists", "isfile", "cat_file"])
def test_a_server_that_is_not_there_is_told(nobody: str, ask: str) -> None:
    fs, place = file_system(f"{nobody}/study.yaml")
    with pytest.raises(StorageError, match="the server can't be reached") as caught:
        getattr(fs, ask)(place)
    assert is_transient(caught.value)


@pytest.mark.parametrize("address", ["", "http://nowhere.invalid"])
def test_nothing_of_a_study_is_taken_for_missing(nobody: str, address: str, tmp_path) -> None:
    address = address or nobody
    with pytest.raises(StorageError, match="can't be reached"):
        load_study(f"{address}/study.yaml")
    with pytest.raises(StorageError, match="can't be reached"):
        included_scans(load_study(study_file(tmp_path, data=f"{address}/bids")))
    with pytest.raises(StorageError, match="can't be reached"):
        InputDigests(create_store(str(tmp_path / "out"))).of([f"{address}/image.nii.gz"])
    with pytest.raises(StorageError, match="can't be reached"):
        local_copy(f"{address}/model", "model.json")


def test_a_file_that_the_server_lacks_is_missing(server: str, tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="no such study file"):
        load_study(f"{server}/missing.yaml")
    with pytest.raises(ConfigurationError, match="answers 403"):
        load_study(f"{server}/denied.yaml")
    uri = f"{server}/missing.nii.gz"
    assert isinstance(InputDigests(create_store(str(tmp_path / "out"))).of([uri])[uri], MissingInputError)


def test_the_command_says_so_in_one_line(nobody: str) -> None:
    command = [sys.executable, "-m", "flows.cli", "plan", f"{nobody}/study.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert (done.returncode, done.stdout) == (ExitCode.STORE, "")
    assert "the server can't be reached" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
