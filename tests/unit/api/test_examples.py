"""Examples in docstrings of the public API run, on a small scan in the current folder."""

import doctest
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import dlif_core as dlif
from dlif_core import radionuclides, units
from dlif_core.store import Fingerprint, create_store
from tests.unit.api.tables import BLOOD, curves, write_dataset, write_tables
from tests.unit.kinetics.truth import F18, MOUSE

REGISTRIES = ("METHODS", "MODELS", "READERS")


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What examples may use without making it: an image with its blood, and files in the current folder."""
    write_tables(tmp_path)
    write_dataset(tmp_path / "dataset")
    with create_store(str(tmp_path / "results")).stage("scans/sub-01.zarr/kinetics/patlak/regions") as staging:
        staging.write_dataset(xr.Dataset({"Ki": ("region", [0.029, 0.022])}))
        staging.publish(Fingerprint({}))
    monkeypatch.chdir(tmp_path)
    voxels = np.stack(list(curves().values()), axis=1).reshape(len(MOUSE), 1, 1, 2)
    scan = {"timing": MOUSE, "units": "Bq/mL", "blood": BLOOD, "acquisition": dlif.Acquisition("FDG", F18)}
    public = {name: getattr(dlif, name) for name in dlif.__all__}
    return public | {
        "np": np,
        "xr": xr,
        "image": dlif.from_arrays(voxels, **scan),
        "dask_image": dlif.from_arrays(da.from_array(voxels, chunks=(7, 1, 1, 1)), **scan),
    }


def examples(value: object, name: str, names: dict[str, Any]) -> Iterator[doctest.DocTest]:
    """Tests in the docstring of a value itself."""
    yield from doctest.DocTestFinder(exclude_empty=True, recurse=False).find(value, name, globs=dict(names))


def failures(tests: Iterator[doctest.DocTest]) -> str:
    """What the examples print that they should not."""
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for test in tests:
        runner.run(test, out=report.append)
    return "".join(report)


def assert_examples_hold(value: object, name: str, names: dict[str, Any]) -> None:
    found = list(examples(value, name, names))
    assert sum(len(test.examples) for test in found) > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dlif.DlifWarning)
        assert failures(iter(found)) == ""


@pytest.mark.parametrize("name", [name for name in dlif.__all__ if name not in REGISTRIES])
def test_every_public_name_has_an_example_that_holds(name: str, names: dict[str, Any]) -> None:
    assert_examples_hold(getattr(dlif, name), name, names)


def test_registries_are_shown_with_the_package(names: dict[str, Any]) -> None:
    assert all(f"dlif.{name}" in str(dlif.__doc__) for name in REGISTRIES)
    assert_examples_hold(dlif, "dlif_core", names)


@pytest.mark.parametrize("function", [units.factor, units.is_unit, radionuclides.nuclide])
def test_examples_of_units_and_radionuclides_hold(function: Callable[..., Any]) -> None:
    assert_examples_hold(function, function.__name__, vars(sys.modules[function.__module__]))
