"""Examples in docstrings of the public API run, on a small scan in the current folder."""

import doctest
import importlib
import pkgutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import dlif_core as dlif
from dlif_core import api
from dlif_core.store import create_store
from tests.unit.api.tables import BLOOD, curves, write_dataset, write_tables
from tests.unit.kinetics.truth import F18, MOUSE

#: Modules with examples that are not those of a public name.
_OTHERS = ("dlif_core", "dlif_core.units", "dlif_core.radionuclides")


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What examples may use without making it: an image with its blood, and files in the current folder."""
    write_tables(tmp_path)
    write_dataset(tmp_path / "dataset")
    create_store(str(tmp_path / "results"))
    monkeypatch.chdir(tmp_path)
    voxels = np.stack(list(curves().values()), axis=1).reshape(len(MOUSE), 1, 1, 2)
    scan = {"timing": MOUSE, "units": "Bq/mL", "blood": BLOOD, "acquisition": dlif.Acquisition("FDG", F18)}
    return {
        "np": np,
        "xr": xr,
        "image": dlif.from_arrays(voxels, **scan),
        "dask_image": dlif.from_arrays(da.from_array(voxels, chunks=(7, 1, 1, 1)), **scan),
    }


def examples(value: object, name: str, names: dict[str, Any]) -> Iterator[doctest.DocTest]:
    """Tests in the docstring of a value itself."""
    for test in doctest.DocTestFinder(exclude_empty=True, recurse=False).find(value, name, globs=dict(names)):
        yield test


def failures(tests: Iterator[doctest.DocTest]) -> str:
    """What the examples print that they should not."""
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in tests:
        runner.run(test, out=report.append)
    return "".join(report)


@pytest.mark.parametrize("name", dlif.__all__)
def test_every_public_name_has_an_example_that_holds(name: str, names: dict[str, Any]) -> None:
    value = getattr(dlif, name)
    described = value if callable(value) else type(value)
    if name in ("MODELS", "METHODS", "READERS"):
        pytest.skip("registries are shown in the module's page")
    found = list(examples(described, name, names | vars(importlib.import_module(described.__module__))))
    assert found
    assert sum(len(test.examples) for test in found) > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dlif.DlifWarning)
        assert failures(iter(found)) == ""
