"""Python and the packages: whether they are those that dlif needs, and none that is known to fail."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from dlif_core.doctor.probe import Diagnosis, Surroundings, doubtful, faulty, sound

#: Packages that others ask for, with the versions that work, and what happens with others.
TRAPS = {
    "fastapi": ("<0.151", "no Prefect server starts"),
    "sqlalchemy": ("<2.1", "no scheduled run of Prefect is ever made"),
}
#: Packages whose versions are shown.
_SHOWN = ("dlif", "prefect", "dask", "distributed", "zarr", "numpy", "torch", "s3fs")


def look_at_python(_: Surroundings) -> Iterator[Diagnosis]:
    """The version of Python."""
    needed, found = metadata("dlif")["Requires-Python"], platform.python_version()
    if found not in SpecifierSet(needed):
        yield faulty("python", found, f"Install Python {needed} and make the environment anew.")
        return
    yield sound("python", found)


def look_at_packages(_: Surroundings) -> Iterator[Diagnosis]:
    """Versions of all packages that dlif asks for, and of some that these ask for."""
    asked = [needed for text in requires("dlif") or () if not (needed := Requirement(text)).marker]
    wrong = [fault for needed in asked if (fault := _fault_of(needed.name, needed.specifier))]
    if wrong:
        yield faulty("packages", "; ".join(wrong), "Install dlif again: `pip install -c constraints.txt dlif`.")
    for name, (versions, consequence) in TRAPS.items():
        fault = _fault_of(name, SpecifierSet(versions))
        if fault:
            remedy = f"With it {consequence}: `pip install '{name}{versions}'`."
            yield faulty(name, fault, remedy) if _is_installed(name) else doubtful(name, fault, remedy)
    if not wrong:
        shown = ", ".join(f"{name} {version(name)}" for name in _SHOWN if _is_installed(name))
        yield sound("packages", f"{len(asked)} as needed: {shown}")


def _fault_of(name: str, versions: SpecifierSet) -> str:
    if not _is_installed(name):
        return f"{name} is not installed"
    found = version(name)
    return "" if versions.contains(found, prereleases=True) else f"{name} is {found}, not {versions}"


def _is_installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False
