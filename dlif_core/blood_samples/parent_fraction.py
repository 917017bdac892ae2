"""Models of the parent fraction: the share of plasma activity that is unchanged tracer.

Every model is start × shape(t), where the shape falls from 1 at injection and stays between 0 and 1, so that no fit
leaves that range. Shapes as in Tonietto et al., J Cereb Blood Flow Metab 2016;36:822-836, and the works named there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from dlif_core.errors import BloodError

Array = NDArray[np.float64]
ParentFractionModel = Literal["hill", "power", "exponential", "sigmoid", "inverse-gamma", "constant", "interpolation"]

# the start is fitted only where this many samples lie this early [s]; later ones don't determine it
_EARLY_SAMPLES, _EARLY = 2, 180.0


@dataclass(frozen=True)
class _Parameter:
    name: str
    lower: float
    upper: float
    guesses: tuple[float, ...]


@dataclass(frozen=True)
class _Shape:
    """Curve over minutes, 1 at t = 0, and its parameters."""

    curve: Callable[..., Array]
    parameters: tuple[_Parameter, ...] = ()


def _hill(t: Array, drop: Array, half_time: Array, exponent: Array) -> Array:
    x = (t / half_time) ** exponent
    return np.asarray(1 - drop * x / (1 + x))


def _power(t: Array, scale: Array, exponent: Array, power: Array) -> Array:
    return np.asarray((1 + (t / scale) ** exponent) ** -power)


def _exponential(t: Array, share: Array, fast: Array, slow: Array) -> Array:
    return np.asarray(share * np.exp(-fast * t) + (1 - share) * np.exp(-slow * t))


def _sigmoid(t: Array, scale: Array, exponent: Array, offset: Array) -> Array:
    return np.asarray(((1 / (1 + (t / scale) ** 3)) ** exponent + offset) / (1 + offset))


def _inverse_gamma(t: Array, drop: Array, shape: Array, rate: Array) -> Array:
    return np.asarray(1 - drop * scipy.special.gammaincc(shape, rate / np.maximum(t, 1e-9)))


def _constant(t: Array) -> Array:
    return np.ones_like(t)


_START = _Parameter("start", 0.0, 1.0, (0.9,))
_DROP = _Parameter("drop", 0.0, 1.0, (0.6, 0.95))
_SHAPES: dict[str, _Shape] = {
    "hill": _Shape(
        _hill,
        (_DROP, _Parameter("half_time_min", 0.1, 600.0, (3.0, 20.0)), _Parameter("exponent", 0.3, 10.0, (1.0, 2.5))),
    ),
    "power": _Shape(
        _power,
        (
            _Parameter("scale_min", 0.05, 600.0, (1.0, 10.0)),
            _Parameter("exponent", 0.3, 10.0, (1.0, 3.0)),
            _Parameter("power", 0.01, 10.0, (0.2, 1.0)),
        ),
    ),
    "exponential": _Shape(
        _exponential,
        (
            _Parameter("share", 0.0, 1.0, (0.3, 0.7)),
            _Parameter("fast_rate", 0.0, 10.0, (0.1, 1.0)),
            _Parameter("slow_rate", 0.0, 1.0, (0.002, 0.02)),
        ),
    ),
    "sigmoid": _Shape(
        _sigmoid,
        (
            _Parameter("scale_min", 0.1, 600.0, (2.0, 15.0)),
            _Parameter("exponent", 0.05, 10.0, (0.3, 1.0)),
            _Parameter("offset", 0.0, 10.0, (0.05, 0.5)),
        ),
    ),
    "inverse-gamma": _Shape(
        _inverse_gamma,
        (_DROP, _Parameter("shape", 0.05, 20.0, (0.5, 2.0)), _Parameter("rate_min", 0.01, 1000.0, (2.0, 20.0))),
    ),
    "constant": _Shape(_constant),
}


@dataclass(frozen=True, eq=False)
class ParentFraction:
    """A parent fraction curve.

    Attributes
    ----------
    model
        Name of the model.
    start
        Value at injection.
    parameters
        Fitted parameters by name; times in min, rates in min⁻¹.
    root_mean_square_error
        Root of the mean squared residual of the fit at the samples; 0 for interpolation.
    time, fraction
        The samples, shape (samples,) [s] and 0 to 1.
    """

    model: ParentFractionModel
    start: float
    parameters: dict[str, float]
    root_mean_square_error: float
    time: Array
    fraction: Array

    def at(self, time: ArrayLike) -> Array:
        """Parent fraction at given times [s], between 0 and 1; any shape."""
        time = np.asarray(time, float)
        if self.model != "interpolation":
            return _evaluated(self.model, self.start, tuple(self.parameters.values()), time)
        if self.time[0] > 0:
            return np.asarray(np.interp(time, np.append(0.0, self.time), np.append(self.start, self.fraction)))
        return np.asarray(np.interp(time, self.time, self.fraction))

    @property
    def provenance(self) -> dict[str, Any]:
        """Plain values for the record of a curve."""
        return {
            "model": self.model,
            "start": self.start,
            "parameters": self.parameters,
            "root mean square error": self.root_mean_square_error,
            "samples": len(self.time),
            "last sample [s]": float(self.time[-1]),
        }


def fit_parent_fraction(
    time: ArrayLike,
    fraction: ArrayLike,
    model: ParentFractionModel = "hill",
    start: float | None = None,
    *,
    where: object = "",
) -> ParentFraction:
    """Fit a model to measured parent fractions by bounded least squares from several starting points.

    Parameters
    ----------
    time
        Shape (samples,), increasing [s].
    fraction
        Shape (samples,), 0 to 1.
    model
        One of `ParentFractionModel`; ``interpolation`` joins the samples by lines and stays constant after the last.
    start
        Value at injection, at most 1. None fits it where two samples lie within the first 3 min; where they don't, the
        data don't determine it and it is 1. A constant model always fits it; interpolation takes 1.
    where
        File, for the error message.

    Raises
    ------
    BloodError
        If there are fewer samples than the model has parameters.
    """
    time, fraction = np.asarray(time, float), np.asarray(fraction, float)
    if model == "interpolation":
        return ParentFraction(model, 1.0 if start is None else start, {}, 0.0, time, fraction)
    start = start if start is not None else _undetermined_start(model, time)
    parameters = _SHAPES[model].parameters if start is not None else (_START, *_SHAPES[model].parameters)
    _require_enough(model, len(time), len(parameters), where)
    values = _best_fit(model, parameters, time, fraction, start)
    found = {parameter.name: value for parameter, value in zip(parameters, values, strict=True)}
    value = found.pop("start", start)
    assert value is not None
    error = _evaluated(model, value, tuple(found.values()), time) - fraction
    return ParentFraction(model, value, found, float(np.sqrt(np.mean(error**2))), time, fraction)


def _undetermined_start(model: str, time: Array) -> float | None:
    """1 where no early samples tell the start, else None."""
    determined = model == "constant" or (time <= _EARLY).sum() >= _EARLY_SAMPLES
    return None if determined else 1.0


def _best_fit(
    model: str, parameters: tuple[_Parameter, ...], time: Array, fraction: Array, start: float | None
) -> list[float]:
    """Free parameters with the smallest residual sum of squares over all starting points."""
    if not parameters:
        return []
    fixed = [] if start is None else [start]

    def residual(values: Array) -> Array:
        value, *shape = fixed + values.tolist()
        return _evaluated(model, value, tuple(shape), time) - fraction

    bounds = ([parameter.lower for parameter in parameters], [parameter.upper for parameter in parameters])
    fits = [
        scipy.optimize.least_squares(residual, guess, bounds=bounds, x_scale="jac", xtol=1e-12, ftol=1e-12)
        for guess in product(*(parameter.guesses for parameter in parameters))
    ]
    return [float(value) for value in min(fits, key=lambda fit: fit.cost).x]


def _evaluated(model: str, start: float, parameters: tuple[float, ...], time: Array) -> Array:
    minutes = np.clip(time, 0.0, None) / 60.0
    return np.asarray(start * _SHAPES[model].curve(minutes, *parameters))


def _require_enough(model: str, samples: int, parameters: int, where: object) -> None:
    if samples < parameters:
        raise BloodError(
            f"{samples} parent-fraction samples can't determine the {parameters} parameters of the {model} model.",
            where=where,
            hint="Choose a simpler parent_fraction model, for example 'exponential', 'constant' or 'interpolation'.",
        )
