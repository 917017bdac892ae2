"""Settings of a fit and the status codes of its results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, get_args

from dlif_core.errors import ConfigurationError
from dlif_core.kinetics.models import MODELS, Model

Delay = Literal["none", "image", "region"]
Weighting = Literal["uniform", "duration", "duration-decay"]

#: Bounds of a fitted delay of the tissue against the input function [s].
DELAY_BOUNDS = (-30.0, 30.0)


class FitStatus(IntEnum):
    """What became of a fit.

    ``AT_BOUND``: the optimum lies on a bound of the feasible set; a parameter on its bound has no standard error.
    ``DEGENERATE``: the data don't determine every parameter; those undetermined are NaN.
    ``MASKED``: the curve is zero throughout.
    """

    CONVERGED = 0
    AT_BOUND = 1
    DEGENERATE = 2
    NOT_CONVERGED = 3
    NOT_FINITE = 4
    MASKED = 5


@dataclass(frozen=True)
class FitSettings:
    """How to fit.

    Attributes
    ----------
    model
        A name in `MODELS`.
    blood_volume
        vB: None fits it, a number from 0 to below 1 fixes it. A graphical model can't fit it: None is then the same
        as 0, no correction for blood.
    delay
        ``none``; ``image``: one delay, fitted on the mean curve of all regions, for regions and voxels;
        ``region``: one for every region (compartment models only).
    t_star
        Start of the linear phase [min]; frames that start at or after it are used. Only for graphical models.
    weights
        Frame weights, see `frame_weights`.

    Raises
    ------
    ConfigurationError
        If a value is unknown, out of range or contradicts another.
    """

    model: str
    blood_volume: float | None = None
    delay: Delay = "none"
    t_star: float | None = None
    weights: Weighting = "duration-decay"

    def __post_init__(self) -> None:
        _require(self.model in MODELS, "model", self.model, f"Use one of {', '.join(MODELS)}.")
        _require(self.delay in get_args(Delay), "delay", self.delay, f"Use one of {', '.join(get_args(Delay))}.")
        _require(
            self.weights in get_args(Weighting),
            "weights",
            self.weights,
            f"Use one of {', '.join(get_args(Weighting))}.",
        )
        fixed = self.blood_volume
        _require(
            fixed is None or 0 <= fixed < 1,
            "blood_volume",
            fixed,
            "Give a fraction from 0 to below 1, or none to fit it.",
        )
        self._require_graphical_settings()

    @property
    def kinetic_model(self) -> Model:
        """The model that `model` names."""
        return MODELS[self.model]

    def _require_graphical_settings(self) -> None:
        if not self.kinetic_model.graphical:
            _require(self.t_star is None, "t_star", self.t_star, f"Leave it out: {self.model} uses all frames.")
            return
        hint = f"{self.model} needs the start of its linear phase in minutes, zero or positive."
        _require(self.t_star is not None and self.t_star >= 0, "t_star", self.t_star, hint)
        _require(
            self.delay != "region",
            "delay",
            self.delay,
            f"Use image or none: {self.model} can't fit a delay of a region.",
        )


def _require(sound: bool, name: str, value: object, hint: str) -> None:
    if not sound:
        raise ConfigurationError(f"{value!r} is not possible here.", where=f"fit setting {name}", hint=hint)
