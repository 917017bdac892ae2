"""What a public function takes for a scan."""

from __future__ import annotations

import sys

from dlif_core.api.arrays import from_arrays
from dlif_core.api.curves import read_curves
from dlif_core.api.pet_scan import PetScan
from dlif_core.errors import InputError
from dlif_core.scan import DynamicScan


def as_scan(scan: object) -> PetScan:
    """The scan that a public function was given.

    A pandas table or an xarray array serves where it says all about itself: frames, units and half-life.

    Raises
    ------
    InputError
        If it is no scan.
    """
    if isinstance(scan, PetScan):
        return scan
    if isinstance(scan, DynamicScan):
        return PetScan(scan)
    if _is_a(scan, "pandas", "DataFrame"):
        return read_curves(scan)  # type: ignore[arg-type]
    if _is_a(scan, "xarray", "DataArray"):
        return from_arrays(scan)
    raise InputError(
        f"this is no scan but a {type(scan).__name__}.",
        where="scan",
        hint="Make one with dlif.read_curves, dlif.from_arrays or dlif.open_scan.",
    )


def _is_a(value: object, module: str, name: str) -> bool:
    """Whether a value is of a class of a package, without importing the package: if not loaded, it can't be."""
    return module in sys.modules and isinstance(value, getattr(sys.modules[module], name))
