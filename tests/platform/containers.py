"""The CPU image of dlif, built with buildah on a base from debootstrap, and containers of it, run with podman.

No registry of images is needed, nor a daemon: what is needed is root, the packages of install.sh and pip's index.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = "localhost/dlif:test"
_BASE = "localhost/python:3.11-slim"
_SUITE = "bookworm"  # the Debian with Python 3.11, for which the lock is made
_BASE_BYTES = 1e9
#: What podman asks for by itself is more than a machine allows that is a container.
_LIMITS = {"nofile": 20000, "nproc": 4096}
#: What the slim image of Python leaves out of Debian, too.
_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The CPU image, built from this checkout."""
    from tests.platform.conftest import require_programs  # which imports this module

    require_programs("buildah", "podman", "debootstrap", "runc", "catatonit")
    if os.getuid() != 0:
        pytest.skip("only root makes a base image with debootstrap")
    folder = tmp_path_factory.mktemp("image")
    if subprocess.run(["buildah", "inspect", "--type=image", _BASE], capture_output=True, check=False).returncode:
        _make_base()
    mounts = [f"--volume={path}:{inside}:ro" for path, inside in _pip_mounts(folder)]
    build = ["buildah", "bud", "--isolation=chroot", "--pull-never", "--layers=false", "--format=docker", *mounts]
    _run(*build, f"--build-arg=BASE={_BASE}", f"--tag={IMAGE}", "--file=docker/Dockerfile", ".")
    return IMAGE


def podman(*arguments: str) -> list[str]:
    """Command that runs a container on this machine's network."""
    allowed = [f"--ulimit={name}={most}:{most}" for name, most in _LIMITS.items()]
    # podman has health checks made by systemd, which need not be there: tests ask for the health themselves
    return ["podman", "--runtime=runc", "run", "--pull=never", "--network=host", "--health-interval=disable",
            *allowed, *arguments]  # fmt: skip


def in_container(*arguments: str) -> str:
    """Run a container to its end; returns what it printed."""
    return _run(*podman("--rm", *arguments))


def _make_base() -> None:
    # in memory where there is enough: dpkg waits for the disk after each file
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _BASE_BYTES
    with tempfile.TemporaryDirectory(dir=memory if roomy else None) as folder:
        root, archive = Path(folder, "root"), Path(folder, "root.tar")
        python = "python3,python3-venv,ca-certificates"
        _run("debootstrap", "--variant=minbase", f"--include={python}", _SUITE, str(root))
        for name in _LEFT_OUT:
            shutil.rmtree(root / name, ignore_errors=True)
        _run("tar", f"--directory={root}", "--create", f"--file={archive}", ".")
        _run("podman", "import", "--change=ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", str(archive), _BASE)


def _pip_mounts(folder: Path) -> Iterator[tuple[Path, Path]]:
    """pip's settings on this machine for the build: one file, and the files and folders that it names."""
    listed = _run(sys.executable, "-m", "pip", "config", "list").splitlines()
    settings = {
        key.split(".")[-1]: ast.literal_eval(value) for key, _, value in (line.partition("=") for line in listed)
    }
    if bundle := os.environ.get("REQUESTS_CA_BUNDLE"):
        settings.setdefault("cert", bundle)
    file = folder / "pip.conf"
    file.touch(mode=0o600)
    file.write_text("\n".join(("[global]", *(f"{key} = {value}" for key, value in settings.items()))))
    yield file, Path("/etc/pip.conf")
    for word in {word for value in settings.values() for word in value.split()}:
        # the pages of an index link to files beside it
        path = Path(word.removeprefix("file://")).parent if word.startswith("file://") else Path(word)
        if path.is_absolute() and path.exists():
            yield path, path


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout
