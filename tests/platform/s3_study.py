"""A small simulated study, on this machine and in a bucket, and the command that works on either."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fsspec
import xarray as xr
import yaml

from dlif_core.phantom import write_cohort
from dlif_core.store import open_store

STUDY = {
    "name": "bucket",
    "data": "bids",
    "output": "results",
    "input_functions": {"arterial": {}, "population": {}},
    "kinetics": [
        {"model": "patlak", "t_star": 15},
        {"model": "2tcm-irreversible", "input_function": "arterial", "maps": False},
    ],
}


def write_study(folder: Path, scans: int = 2, **changes: object) -> Path:
    """A study file with simulated scans beside it."""
    write_cohort(folder / "bids", scans, seed=5, voxel_size=2.0)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY | changes))
    return path


def upload(folder: Path, uri: str) -> None:
    """Copy a folder into a bucket."""
    fs, path = fsspec.url_to_fs(uri)
    fs.put(f"{folder}/", f"{path}/", recursive=True)


def dlif(*arguments: object, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command with settings of its own."""
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *map(str, arguments)],
        env=os.environ | {"PREFECT_HOME": str(home / "prefect"), "XDG_CACHE_HOME": str(home / "cache")} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def require_same(results: str, others: str) -> None:
    """Two runs gave the same products: byte by byte, but for those that name the place of their input files."""
    one, other = open_store(results), open_store(others)
    markers, theirs = one.products(), other.products()
    assert set(markers) == set(theirs)
    differing = {name for name, marker in markers.items() if marker.content != theirs[name].content}
    assert {name for name in differing if not name.endswith(("/source", "/arterial"))} == set()
    for name in differing:
        xr.testing.assert_equal(one.open_dataset(name).load(), other.open_dataset(name).load())
