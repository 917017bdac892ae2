"""What ``import dlif_core`` offers, and what it costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dlif_core as dlif

PUBLIC = {
    "Acquisition",
    "ConfigurationError",
    "DlifError",
    "DlifWarning",
    "DynamicScan",
    "FitSettings",
    "FitStatus",
    "FrameTiming",
    "InputError",
    "InputFunction",
    "METHODS",
    "MODELS",
    "PetScan",
    "READERS",
    "RegionCurves",
    "blood",
    "check",
    "compare_models",
    "estimate_input_function",
    "fit",
    "fit_image",
    "from_arrays",
    "open_scan",
    "open_store",
    "read_curves",
}
ROOT = Path(dlif.__file__).parent
#: Packages that importing dlif_core must not load, for its speed.
HEAVY = ("numpy", "torch", "xarray", "pandas", "scipy", "zarr", "dask", "pydantic", "fsspec", "prefect", "matplotlib")


def test_the_public_names_are_these() -> None:
    assert set(dlif.__all__) == PUBLIC
    assert len(dlif.__all__) == len(PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_name_is_there_and_listed(name: str) -> None:
    assert getattr(dlif, name) is getattr(dlif, name)
    assert name in dir(dlif)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fit_everything'"):
        dlif.fit_everything  # noqa: B018


def test_type_checkers_see_the_names_that_are_loaded_lazily() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: str(node.module)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"dlif_core.{module}" for name, module in dlif._HOME.items()}


def test_no_public_name_is_that_of_a_module() -> None:
    """A module of the same name would take the place of the function once it is imported."""
    modules = {path.stem for path in ROOT.iterdir()}
    assert not modules & PUBLIC


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, dlif_core; print(*sorted(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stdout.split())
