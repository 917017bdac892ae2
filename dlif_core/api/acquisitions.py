"""Acquisition metadata from what the caller gives and what a table or array says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.radionuclides import HALF_LIFE_TOLERANCE, half_life, nuclide
from dlif_core.scan import Acquisition

_HINT = 'Give radionuclide="F18", or acquisition=dlif.Acquisition(tracer, half_life, …).'
_HINT_WHERE = _HINT[:-1] + ", to dlif.read_curves, dlif.from_arrays or dlif.fit_image."


#: Attributes of xarray arrays and pandas tables, and the fields of PET-BIDS that mean the same.
_ATTRIBUTES = {
    "units": "Units",
    "tracer": "TracerName",
    "radionuclide": "TracerRadionuclide",
    "half_life": "RadionuclideHalfLife",
}


def pet_bids_fields(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """What the attributes of an array or a table say about a scan, under the names of PET-BIDS."""
    return {_ATTRIBUTES[name]: _plain(value) for name, value in attributes.items() if name in _ATTRIBUTES}


def _plain(value: Any) -> Any:
    """NumPy's scalars, as files hold them, as Python's."""
    return value.item() if isinstance(value, np.generic | np.ndarray) and value.size == 1 else value


def acquisition_of(
    acquisition: Acquisition | None, radionuclide: str | None, stated: Mapping[str, Any], where: str
) -> tuple[Acquisition, tuple[str, ...]]:
    """Acquisition of a scan that was given as a table or an array.

    Parameters
    ----------
    acquisition, radionuclide
        What the caller gives; one of them, or neither.
    stated
        Fields of PET-BIDS (``TracerName``, ``RadionuclideHalfLife`` …) beside the data.
    where
        File, for messages.

    Returns
    -------
    The acquisition, and warnings of what is missing in the stated fields.

    Raises
    ------
    ConfigurationError
        If both are given, or one is of the wrong kind.
    InputError
        If the half-life is unknown: frame weights need it.
    """
    if acquisition is not None and radionuclide is not None:
        raise ConfigurationError("acquisition and radionuclide are both given.", where=where, hint="Give one of them.")
    if acquisition is not None:
        if not isinstance(acquisition, Acquisition):
            raise ConfigurationError(f"acquisition is {acquisition!r}.", where=where, hint=_HINT)
        return acquisition, ()
    if radionuclide is not None:
        given = {"TracerRadionuclide": radionuclide} | {"RadionuclideHalfLife": half_life(radionuclide)}
        _require_same_nuclide(radionuclide, stated, where)
        return _stated({**stated, **given}, where)
    return _stated(stated, where)


def _require_same_nuclide(given: str, stated: Mapping[str, Any], where: str) -> None:
    """Refuse a radionuclide where the data state another, by name or by half-life."""
    from dlif_core.ingest.tables import number

    named = nuclide(str(stated.get("TracerRadionuclide") or ""))
    seconds = number(stated.get("RadionuclideHalfLife"))
    differs = seconds is not None and abs(seconds / half_life(given) - 1) > HALF_LIFE_TOLERANCE
    if differs or (named and named != nuclide(str(given))):
        said = named if not differs else f"a half-life of {seconds:g} s"
        raise InputError(
            f"the data state {said}, but radionuclide is {given!r}.",
            where=where,
            hint="Correct one of them, or give acquisition=dlif.Acquisition(…) in place of both.",
        )


def _stated(fields: Mapping[str, Any], where: str) -> tuple[Acquisition, tuple[str, ...]]:
    from dlif_core.ingest.bids.sidecar import Sidecar

    if not {"RadionuclideHalfLife", "TracerRadionuclide"} & fields.keys():
        raise InputError("the half-life of the radionuclide is unknown.", where=where, hint=_HINT_WHERE)
    sidecar = Sidecar(fields, where)
    dose = sidecar.injected_activity() if "InjectedRadioactivity" in fields else None
    weight = sidecar.body_weight()
    return Acquisition(
        sidecar.text("TracerName"), sidecar.half_life(), dose, weight, species=sidecar.text("Species")
    ), tuple(finding.message for finding in sidecar.findings)
