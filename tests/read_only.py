"""Folders that nothing can be written to, not even by root: mounted read-only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder, read-only for as long as the block lasts; the test is skipped where that can't be.

    Parameters
    ----------
    folder
        The folder.
    """
    mounts = [
        ["mount", "--bind", str(folder), str(folder)],
        ["mount", "-o", "remount,bind,ro", str(folder)],
    ]
    done = subprocess.run(mounts[0], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        if subprocess.run(mounts[1], capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed here")
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
