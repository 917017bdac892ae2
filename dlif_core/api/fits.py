"""Fits of region curves, and the comparison of models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlif_core.api.inputs import input_of_fit
from dlif_core.api.notices import warn
from dlif_core.api.pet_scan import PetScan
from dlif_core.api.scan_argument import as_scan
from dlif_core.api.settings import fit_settings
from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError
from dlif_core.kinetics import MODELS
from dlif_core.scan import DynamicScan

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def fit(
    scan: PetScan | DynamicScan | pd.DataFrame | xr.DataArray,
    model: str,
    *,
    input_function: InputFunction | str | None = None,
    **settings: Any,
) -> xr.Dataset:
    """Fit a kinetic model to every region of a scan.

    Parameters
    ----------
    scan
        Scan made by `read_curves`, `from_arrays` or `open_scan`. A pandas table serves too, and so does an xarray array
        with frames as coordinates, where their attributes state ``units`` and ``half_life`` [s].
    model
        A name in `MODELS`.
    input_function
        A curve, or the name of a method in `METHODS`; None takes what was given along with the scan, else its arterial
        blood.
    **settings
        Any of `FitSettings`: ``delay="region"``, ``t_star=20``, ``reference="cerebellum"`` …

    Returns
    -------
    One value for each region: every parameter with its standard error ``<parameter>_se``, ``status`` (`FitStatus`),
    information criteria, measured and fitted curves. All variables have units; ``attrs["warnings"]`` says what was
    assumed.

    Raises
    ------
    ConfigurationError
        If model or a setting is unknown or not possible.
    InputError
        If the scan or its input function can't serve; tissue and blood in contradicting units are a `UnitError`.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> scan = dlif.read_curves("tacs.tsv", blood="blood.tsv")
    >>> fit = dlif.fit(scan, "2tcm-irreversible", delay="region")
    >>> fit["K1"].round(3).sel(region="cortex").item(), fit["K1"].attrs["units"]
    (0.1, 'mL cm-3 min-1')
    >>> bool((fit["status"] == dlif.FitStatus.CONVERGED).all())
    True
    """
    from dlif_core.kinetics import fit_regions

    given = as_scan(scan)
    chosen = fit_settings(model, settings)
    curve = input_of_fit(given, chosen.kinetic_model, input_function)
    fitted = fit_regions(given.dynamic, curve, chosen)
    fitted.attrs["warnings"] = list(warnings_of(given, curve))
    warn(() if curve is None else curve.warnings)
    return fitted


def warnings_of(scan: PetScan, curve: InputFunction | None) -> tuple[str, ...]:
    """What results say was assumed about the scan and its input function."""
    return scan.warnings + (() if curve is None else curve.warnings)


def compare_models(
    scan: PetScan | DynamicScan | pd.DataFrame | xr.DataArray,
    models: Sequence[str],
    *,
    criterion: str = "aicc",
    input_function: InputFunction | str | None = None,
    **settings: Any,
) -> xr.Dataset:
    """Fit several models to every region and compare them by an information criterion.

    Parameters
    ----------
    scan, input_function
        Scan and input function as `fit` takes them.
    models
        Names of two or more models in `MODELS` that have information criteria: compartment models, SRTM, SRTM2 and
        FRTM, but no plots.
    criterion
        ``aic``, ``aicc`` or ``bic``.
    **settings
        Settings for all of them.

    Returns
    -------
    The criterion and the Akaike weight of every model and region, ``best_model``, and F tests of nested pairs.

    Raises
    ------
    ConfigurationError
        If a model, a setting or the criterion is unknown, or a model has no information criterion.
    InputError
        As in `fit`.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> scan = dlif.read_curves("tacs.tsv", blood="blood.tsv")
    >>> compared = dlif.compare_models(scan, ["1tcm", "2tcm-irreversible"])
    >>> compared["model"][compared["best_model"]].values.tolist()
    ['2tcm-irreversible', '2tcm-irreversible']
    """
    from dlif_core.kinetics.selection import compare_regions

    names = list(models) if isinstance(models, list | tuple) else []
    if len(names) < 2 or len(set(map(str, names))) != len(names):
        raise ConfigurationError(
            f"models is {models!r}.", where="dlif.compare_models", hint="Give a list of two or more names of models."
        )
    _require_criteria(names)
    given = as_scan(scan)
    fits = {name: fit(given, name, input_function=input_function, **settings) for name in names}
    return compare_regions(fits, criterion)  # type: ignore[arg-type]


def _require_criteria(names: list[str]) -> None:
    """Refuse models without information criteria, such as plots."""
    for name in names:
        if math.isnan(MODELS.named(name, where="dlif.compare_models").fitted_numbers):
            having = [model.name for model in MODELS.values() if not math.isnan(model.fitted_numbers)]
            raise ConfigurationError(
                f"{name} has no information criterion: it does not fit the curve itself, or not by a fixed number of "
                "parameters.",
                where="dlif.compare_models",
                hint=f"Models that have one: {', '.join(having)}.",
            )
