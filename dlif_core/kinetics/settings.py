"""Settings of a fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeGuard, cast, get_args

import numpy as np

from dlif_core.errors import ConfigurationError
from dlif_core.kinetics.context import Estimator, FitContext, require_frames
from dlif_core.kinetics.input_model import DELAY, InputParameter
from dlif_core.kinetics.model import MODELS, RATE_BOUNDS, Model

Delay = Literal["none", "image", "region"]
Weighting = Literal["uniform", "duration", "decay", "duration-decay"]
#: A number that a fit to the pilot region finds.
Find = Literal["find"]
Pair = tuple[float, float]

#: Bounds of a fitted delay of the tissue against the input function [s].
DELAY_BOUNDS = (DELAY.lower, DELAY.upper)


@dataclass(frozen=True)
class FitSettings:
    """How to fit.

    Where a setting says ``find``, the number is fitted to the curve of the pilot region and then fixed for every
    region and voxel.

    Attributes
    ----------
    model
        A name in `MODELS`.
    blood_volume
        vB: None fits it, a number from 0 to below 1 fixes it. A graphical model can't fit it: None is then the same
        as 0, no correction for blood.
    delay
        ``none``; ``image``: one delay, fitted to the curve of the pilot region, for regions and voxels;
        ``region``: one for every region (compartment models only).
    t_star
        Start of the linear phase [min], or ``find``; frames that start at or after it are used.
    reference
        Name of the reference region.
    k2_prime
        k2 of the reference region [min⁻¹], or ``find``.
    rates
        Range of the nonlinear parameters θ [min⁻¹], or ``find``: a third to three times those of the pilot region;
        None for `RATE_BOUNDS`.
    window
        First and last minute of a mean over time.
    pilot_region
        Name of the region whose curve settles what is to be found; None for the mean of all, weighted by volume.
    weights
        Frame weights: a name, see `frame_weights`, or one number for every frame.
    weight_limits
        Floor and cap of the weights, as multiples of their median.
    intervals
        Whether regions get 95 % profile-likelihood intervals (compartment models only).

    Raises
    ------
    ConfigurationError
        If a value is unknown, of the wrong kind, out of range, needed and missing, or not one that the model takes.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> settings = dlif.FitSettings("logan", t_star=30, blood_volume=0.05)
    >>> settings.kinetic_model.title
    'Logan plot'
    """

    model: str
    blood_volume: float | None = None
    delay: Delay = "none"
    t_star: float | Find | None = None
    reference: str | None = None
    k2_prime: float | Find | None = None
    rates: Pair | Find | None = None
    window: Pair | None = None
    pilot_region: str | None = None
    weights: Weighting | tuple[float, ...] = "duration-decay"
    weight_limits: Pair = (0.01, 100.0)
    intervals: bool = False

    def __post_init__(self) -> None:
        for setting in fields(self):
            object.__setattr__(self, setting.name, _plain(getattr(self, setting.name), setting.name))
        self._require_known_kinds()
        MODELS.named(self.model, where="fit setting model")
        self._require_known_weights()
        self._require_options_of_the_model()
        self._require_numbers_in_range()
        _require(self.delay in get_args(Delay), "delay", self.delay, f"Use one of {', '.join(get_args(Delay))}.")
        compartments = self.kinetic_model.has_compartments
        hint = f"Use image or none: {self.model} can't fit a delay of a region."
        _require(self.delay != "region" or compartments, "delay", self.delay, hint)
        _require(not self.intervals or compartments, "intervals", self.intervals, "Only compartment models have them.")

    def as_record(self) -> dict[str, Any]:
        """The settings by the names of their keys in study files and products, as plain values."""
        return {RECORD_KEYS.get(setting.name, setting.name): getattr(self, setting.name) for setting in fields(self)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> FitSettings:
        """The settings of a product or a study file.

        Raises
        ------
        ConfigurationError
            If a key is unknown, or a value is not possible.
        """
        named = {_NAMES.get(key, key): value for key, value in record.items()}
        unknown = sorted(named.keys() - {setting.name for setting in fields(cls)})
        if unknown:
            raise ConfigurationError(f"there is no setting {unknown[0]!r}.", where="fit settings")
        return cls(**named)

    @property
    def kinetic_model(self) -> Model:
        """The model that `model` names."""
        return MODELS[self.model]

    @property
    def to_be_found(self) -> tuple[str, ...]:
        """Settings that say ``find``."""
        return tuple(name for name in ("t_star", "k2_prime", "rates") if getattr(self, name) == "find")

    @property
    def rate_bounds(self) -> Pair:
        """Range of the nonlinear parameters [min⁻¹], once it is settled."""
        return RATE_BOUNDS if self.rates is None else cast("Pair", self.rates)

    @property
    def fitted_inputs(self) -> tuple[InputParameter, ...]:
        """Input parameters that are fitted to every region: the model's own, unless the whole image's hold for all."""
        own = () if self.delay == "image" else self.kinetic_model.input_parameters
        return (DELAY, *own) if self.delay == "region" else own

    def estimator(self, context: FitContext) -> Estimator:
        """What fits the model to many curves at once.

        Parameters
        ----------
        context
            What the curves share.

        Raises
        ------
        ConfigurationError
            If a number is still to be found.
        FrameTimingError
            If there are too few frames for the model.
        """
        if self.to_be_found:
            hint = "Give a number, or let `prepare` find it."
            raise ConfigurationError("it is still to be found.", where=f"fit setting {self.to_be_found[0]}", hint=hint)
        if "window" not in self.kinetic_model.options:
            require_frames(context.timing)
        return self.kinetic_model.engine(context, self)

    def _require_known_kinds(self) -> None:
        """Names are text, and switches are true or false."""
        _require(isinstance(self.model, str), "model", self.model, "Give the name of a model.")
        for name in ("reference", "pilot_region"):
            value = getattr(self, name)
            _require(value is None or isinstance(value, str), name, value, "Give the name of a region.")
        _require(isinstance(self.intervals, bool), "intervals", self.intervals, "Give true or false.")

    def _require_known_weights(self) -> None:
        known = get_args(Weighting)
        if isinstance(self.weights, str):
            hint = f"Use one of {', '.join(known)}, or one number for every frame."
            _require(self.weights in known, "weights", self.weights, hint)
        else:
            given = self.weights if isinstance(self.weights, tuple) else ()
            sound = all(_is_number(weight, 0.0) and math.isfinite(weight) for weight in given) and any(given)
            _require(sound, "weights", self.weights, "Give a number for every frame, zero or positive, not all zero.")
        sound = _is_pair(self.weight_limits) and 0 <= self.weight_limits[0] <= 1 <= self.weight_limits[1]
        _require(sound, "weight_limits", self.weight_limits, "Give a floor up to 1 and a cap from 1.")

    def _require_options_of_the_model(self) -> None:
        model = self.kinetic_model
        given = {
            "blood_volume": self.blood_volume,
            "delay": None if self.delay == "none" else self.delay,
            "t_star": self.t_star,
            "k2_prime": self.k2_prime,
            "rates": self.rates,
            "window": self.window,
        }
        for name, value in given.items():
            _require(
                value is None or name in model.options, name, value, f"Leave it out: {self.model} has no use for it."
            )
            missing = value is None and name in model.needed_options
            _require(not missing, name, value, f"{self.model} needs it: {_NEEDED.get(name, '')}")
        hint = f"{self.model} needs the name of its reference region." if model.needs_reference else ""
        _require(bool(hint) <= (self.reference is not None), "reference", self.reference, hint)
        hint = f"Leave it out: {self.model} has no use for it."
        _require(model.needs_reference or self.reference is None, "reference", self.reference, hint)

    def _require_numbers_in_range(self) -> None:
        fixed, t_star, k2_prime = self.blood_volume, self.t_star, self.k2_prime
        sound = fixed is None or (_is_number(fixed, 0.0) and fixed < 1)
        _require(sound, "blood_volume", fixed, "Give a fraction from 0 to below 1, or none to fit it.")
        sound = t_star is None or t_star == "find" or (_is_number(t_star, 0.0) and math.isfinite(t_star))
        _require(sound, "t_star", t_star, _NEEDED["t_star"])
        sound = k2_prime is None or k2_prime == "find" or (_is_number(k2_prime, 1e-6) and math.isfinite(k2_prime))
        _require(sound, "k2_prime", k2_prime, _NEEDED["k2_prime"])
        low, high = RATE_BOUNDS
        findable = self.rates == "find" and self.kinetic_model.exponentials > 0
        sound = self.rates is None or findable or _is_range(self.rates, low, high)
        hint = f"Give two rising rates from {low:g} to {high:g} min-1, or find where a model has a rate to be found."
        _require(sound, "rates", self.rates, hint)
        sound = self.window is None or _is_range(self.window, 0.0, float("inf"))
        _require(sound, "window", self.window, _NEEDED["window"])


#: Keys of files and products, by the names of settings that differ from them.
RECORD_KEYS = {"pilot_region": "leading_region"}
_NAMES = {key: name for name, key in RECORD_KEYS.items()}

#: What a setting that is needed should be.
_NEEDED = {
    "t_star": "the start of the linear phase in minutes, zero or positive, or find.",
    "k2_prime": "the k2 of the reference region in min-1, above zero, or find.",
    "window": "its first and last minute, rising from zero.",
}


def _plain(value: Any, name: str) -> Any:
    """Lists and arrays as tuples, NumPy's numbers as Python's, so that settings can be compared and written as JSON."""
    if hasattr(value, "__array__"):
        value = _from_array(value, name)
    return tuple(_plain(each, name) for each in value) if isinstance(value, list | tuple) else value


def _from_array(value: Any, name: str) -> Any:
    try:
        return np.asarray(value).tolist()
    except (TypeError, ValueError, RuntimeError) as fault:  # a tensor on another device, for example
        raise ConfigurationError(
            f"it can't be read as numbers: {fault}.", where=f"fit setting {name}", hint="Give plain numbers."
        ) from fault


def _is_number(value: object, low: float) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= low


def _is_pair(pair: object) -> TypeGuard[Pair]:
    return isinstance(pair, tuple) and len(pair) == 2 and all(_is_number(each, -math.inf) for each in pair)


def _is_range(pair: object, low: float, high: float) -> bool:
    return _is_pair(pair) and low <= pair[0] < pair[1] <= high


def _require(sound: bool, name: str, value: object, hint: str) -> None:
    if not sound:
        raise ConfigurationError(f"{value!r} is not possible here.", where=f"fit setting {name}", hint=hint)
