"""Which model describes a curve best: information criteria, their weights, and the F test of nested models.

Only fits of the same curve with the same frame weights can be compared. Akaike, IEEE Trans Automat Contr 1974;19:716;
Schwarz, Ann Stat 1978;6:461; Hurvich & Tsai, Biometrika 1989;76:297.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.kinetics.context import FitStatus, as_numbers, require_kind
from dlif_core.kinetics.settings import FitSettings

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]
Criterion = Literal["aic", "aicc", "bic"]

_COMPARISON = "model comparison"

#: A simpler model and the one that holds it as a special case.
NESTED = (
    ("1tcm", "2tcm-irreversible"),
    ("1tcm", "2tcm-reversible"),
    ("2tcm-irreversible", "2tcm-reversible"),
)
_SOUND = (FitStatus.CONVERGED, FitStatus.AT_BOUND)
#: Where the residual is the smallest possible, which is all that an F test asks.
_OPTIMAL = (*_SOUND, FitStatus.DEGENERATE)


def fitted_numbers(settings: FitSettings) -> float:
    """Numbers that are fitted to a curve; NaN for a model without information criteria.

    What is fixed does not count, be it given or found on the pilot region. A delay and other numbers of the input
    function count where they are fitted for each region, and a number counts though it ends on a bound.
    """
    fixed = settings.blood_volume is not None
    return settings.kinetic_model.fitted_numbers + len(settings.fitted_inputs) - fixed


def information_criteria(rss: ArrayLike, frames: int, numbers: ArrayLike) -> dict[str, Array]:
    """AIC, AICc and BIC of least-squares fits.

    With n frames and p fitted numbers AIC = n ln(rss/n) + 2p, AICc = AIC + 2p(p+1)/(n−p−1), NaN where n ≤ p + 1, and
    BIC = n ln(rss/n) + p ln n.

    Parameters
    ----------
    rss
        Weighted residual sums of squares, of any shape.
    frames
        Number of frames with a weight above zero.
    numbers
        Number of fitted numbers, or one for every fit; NaN gives NaN.

    Raises
    ------
    InputError
        If the values are not numbers, or their shapes don't match.
    ConfigurationError
        If there is no frame.
    """
    _require_frames(frames)
    rss, p = as_numbers(rss, "residual sums"), as_numbers(numbers, "counts of fitted numbers")
    _require_alike(rss, p)
    misfit = frames * np.log(np.maximum(rss, np.finfo(float).tiny) / frames)
    spare = np.where(p + 1 < frames, frames - p - 1, np.nan)
    aic = misfit + 2 * p
    return {"aic": aic, "aicc": aic + 2 * p * (p + 1) / spare, "bic": misfit + p * np.log(frames)}


@dataclass(frozen=True, eq=False)
class FTest:
    """Whether a model describes curves better than one that is nested in it.

    Attributes
    ----------
    statistic
        F.
    probability
        Probability of an F as large where the simpler model is true.
    """

    statistic: Array
    probability: Array


def f_test(simple: ArrayLike, full: ArrayLike, frames: int, numbers: tuple[float, float]) -> FTest:
    """F = ((rss₁ − rss₂) / (p₂ − p₁)) / (rss₂ / (n − p₂)) with its probability.

    It is exact for linear models without bounds. A simpler model that lies on a bound of the other, as with k3 = 0,
    makes it conservative.

    Parameters
    ----------
    simple, full
        Weighted residual sums of squares of the simpler model and of the one that holds it, of the same shape.
    frames
        Number of frames with a weight above zero.
    numbers
        Fitted numbers of both.

    Raises
    ------
    InputError
        If the residual sums are not numbers, or their shapes don't match.
    ConfigurationError
        If the full model has not more numbers, or not fewer than there are frames.
    """
    from scipy.special import fdtrc

    _require_frames(frames)
    _require_counts(numbers)
    rest, simpler = as_numbers(full, "residual sums"), as_numbers(simple, "residual sums")
    _require_alike(rest, simpler)
    more, freedom = numbers[1] - numbers[0], frames - numbers[1]
    if not (more > 0 and freedom > 0):
        raise ConfigurationError(
            f"models with {numbers[0]:g} and {numbers[1]:g} fitted numbers and {frames} frames have no F test.",
            where=_COMPARISON,
            hint="Give the simpler model first; it needs more frames than numbers.",
        )
    gain = simpler - rest
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.maximum(gain, 0.0) / more / (rest / freedom)
    return FTest(statistic, np.asarray(fdtrc(more, freedom, statistic)))


@dataclass(frozen=True, eq=False)
class Selection:
    """The best of several models.

    Attributes
    ----------
    models
        Their names.
    index
        Index into `models`, int8; −1 where no model has a sound fit. Of equal ones it is the first.
    weights
        exp(−Δ/2), normalised over the models, Δ being the distance from the smallest criterion; zero for a model
        without a sound fit, NaN where no model has one. The first dimension runs along the models.
    """

    models: tuple[str, ...]
    index: NDArray[np.int8]
    weights: Array


def sound(criterion: ArrayLike, status: ArrayLike) -> Array:
    """The criterion where the fit has converged, inside or on a bound, and determines its parameters; else NaN."""
    return np.where(np.isin(status, _SOUND), criterion, np.nan)


def best_model(criteria: Mapping[str, ArrayLike]) -> Selection:
    """The model with the smallest criterion, for regions or for maps.

    Parameters
    ----------
    criteria
        One information criterion of each model, all of one shape; NaN where a model has no sound fit, see `sound`.

    Raises
    ------
    InputError
        If the values are not numbers, or their shapes differ.
    ConfigurationError
        If there is no model.
    """
    _require_models(criteria)
    every = [as_numbers(criterion, "criteria") for criterion in criteria.values()]
    if any(values.shape != every[0].shape for values in every):
        raise InputError(f"the criteria have shapes {', '.join(str(v.shape) for v in every)}.", where=_COMPARISON)
    values = np.stack(every)
    comparable = np.where(np.isfinite(values), values, np.inf)
    smallest = comparable.min(axis=0)
    with np.errstate(invalid="ignore"):
        weights = np.exp(-0.5 * (comparable - smallest))
    none = np.isinf(smallest)
    index = np.where(none, -1, comparable.argmin(axis=0)).astype(np.int8)
    return Selection(tuple(criteria), index, weights / weights.sum(axis=0))


def compare_regions(fits: Mapping[str, xr.Dataset], criterion: Criterion = "aicc") -> xr.Dataset:
    """Compare models by region.

    Parameters
    ----------
    fits
        Datasets from `fit_regions` by name, of the same curves with the same frame weights.
    criterion
        The criterion by which the best model is chosen.

    Returns
    -------
    Dimensions model, region and, if there are any, nested pair. Variables: the criterion, NaN without a sound fit;
    ``akaike_weight``; ``best_model``, an index into the models with their names as flags, −1 for none;
    ``F`` and ``F_probability`` of every nested pair, with equal settings of vB, delay and rates.

    Raises
    ------
    ConfigurationError
        If the criterion is unknown, or there is no fit.
    InputError
        If the fits are not from `fit_regions`, or not of the same curves and weights.
    """
    import xarray as xr

    if not isinstance(criterion, str) or criterion not in get_args(Criterion):
        hint = f"Use one of {', '.join(get_args(Criterion))}."
        raise ConfigurationError(f"there is no criterion {criterion!r}.", where=_COMPARISON, hint=hint)
    _require_models(fits)
    _require_fits(fits)
    _require_same_data(fits)
    values = {name: sound(fit[criterion], fit["status"]) for name, fit in fits.items()}
    chosen = best_model(values)
    names = " ".join(name.replace(" ", "_") for name in ("none", *fits))
    flags = {"flag_values": [-1, *range(len(fits))], "flag_meanings": names}
    across = ("model", "region")
    variables: dict[str, Any] = {
        criterion: (across, np.stack(list(values.values())), {"units": "1", "long_name": _NAMES[criterion]}),
        "akaike_weight": (across, chosen.weights, {"units": "1", "long_name": "Akaike weight"}),
        "best_model": ("region", chosen.index, {"units": "1", "long_name": f"model of lowest {criterion}"} | flags),
    }
    coordinates = {"model": list(fits), "region": next(iter(fits.values()))["region"]}
    return xr.Dataset(variables, coords=coordinates, attrs={"criterion": criterion}).assign(_f_tests(fits))


_NAMES = {
    "aic": "Akaike information criterion",
    "aicc": "corrected Akaike information criterion",
    "bic": "Bayesian information criterion",
}


def _f_tests(fits: Mapping[str, xr.Dataset]) -> dict[str, Any]:
    import xarray as xr

    tests = {}
    for (simple, one), (full, other) in itertools.permutations(fits.items(), 2):
        if _is_nested(one, other):
            numbers = fitted_numbers(_settings(one)), fitted_numbers(_settings(other))
            rss = [fit["rss"].where(fit["status"].isin(_OPTIMAL)) for fit in (one, other)]
            tests[f"{simple} < {full}"] = f_test(rss[0], rss[1], int((other["weight"] > 0).sum()), numbers)
    if not tests:
        return {}
    coordinates = {"nested_pair": list(tests), "region": next(iter(fits.values()))["region"]}

    def variable(values: list[Array], title: str) -> xr.DataArray:
        return xr.DataArray(np.stack(values), coordinates, attrs={"units": "1", "long_name": title})

    return {
        "F": variable([test.statistic for test in tests.values()], "F of a nested pair of models"),
        "F_probability": variable(
            [test.probability for test in tests.values()], "probability of F under the simpler model"
        ),
    }


def _settings(fit: xr.Dataset) -> FitSettings:
    return FitSettings.from_record(json.loads(fit.attrs["settings"]))


def _is_nested(simple: xr.Dataset, full: xr.Dataset) -> bool:
    """Whether one model is a special case of the other and the same numbers beside its own are fixed."""
    one, other = _settings(simple), _settings(full)
    alike = all(getattr(one, name) == getattr(other, name) for name in ("blood_volume", "delay", "rates"))
    return alike and (one.model, other.model) in NESTED


def _require_frames(frames: int) -> None:
    if not isinstance(frames, int | np.integer) or isinstance(frames, bool) or frames < 1:
        raise ConfigurationError(f"{frames!r} is no number of frames.", where=_COMPARISON, hint="Give 1 or more.")


def _require_counts(numbers: tuple[float, float]) -> None:
    pair = isinstance(numbers, tuple | list) and len(numbers) == 2
    if not pair or not all(isinstance(number, int | float | np.number) for number in numbers):
        raise ConfigurationError(f"{numbers!r} are not two counts of fitted numbers.", where=_COMPARISON)


def _require_alike(one: Array, other: Array) -> None:
    try:
        np.broadcast_shapes(one.shape, other.shape)
    except ValueError as fault:
        raise InputError(f"shapes {one.shape} and {other.shape} don't match.", where=_COMPARISON) from fault


def _require_models(models: Mapping[str, Any]) -> None:
    require_kind(models, Mapping, "models")
    if not models:
        raise ConfigurationError("there is no model to compare.", where=_COMPARISON, hint="Give at least one fit.")


def _require_fits(fits: Mapping[str, xr.Dataset]) -> None:
    import xarray as xr

    for name, fit in fits.items():
        require_kind(fit, xr.Dataset, f"fit {name}")
        missing = sorted({"measured", "weight", "status", "rss", *get_args(Criterion)} - set(map(str, fit)))
        missing += [] if "settings" in fit.attrs else ["its settings"]
        if missing:
            hint = "Give datasets from `fit_regions`."
            raise InputError(f"fit {name} lacks {', '.join(missing)}.", where=_COMPARISON, hint=hint)


def _require_same_data(fits: Mapping[str, xr.Dataset]) -> None:
    for (first, one), (second, other) in itertools.pairwise(fits.items()):
        for name in ("measured", "weight"):
            if not one[name].equals(other[name]):
                raise InputError(
                    f"{first} and {second} were not fitted with the same {name} values.",
                    where=_COMPARISON,
                    hint="Fit both to the same regions of one scan with the same weights.",
                )
