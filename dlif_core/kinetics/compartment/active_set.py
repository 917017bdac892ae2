"""Active sets of a compartment model: which of its columns have a coefficient that is free, not on a bound.

The least-squares optimum under bounds is the optimum without bounds of the columns in one of the active sets.
Parameters stay undetermined where vB = 1, and where coefficients are zero so that a rate has no effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from torch import Tensor

from dlif_core.kinetics.model import RATE_BOUNDS, CompartmentModel, Model

#: Volumes of distribution and their ratios, which need a tissue that comes to rest.
_VOLUMES = ("VT", "BPND")
#: How far an optimiser may stay inside of a bound on which a rate rests [ln θ].
_JUST_INSIDE = 1e-3

Blood = Literal["fixed", "none", "free", "all"]


@dataclass(frozen=True)
class ActiveSet:
    """The columns of a model whose coefficients are not on a bound.

    Attributes
    ----------
    exponentials
        Number of exponentials with a coefficient above zero.
    integral
        Whether ∫C_p has a coefficient above zero.
    blood
        State of vB: ``fixed`` by the settings, or fitted and 0 (``none``), in between (``free``) or 1 (``all``).
    reference
        Whether the reference tissue C_R, which is then the input too, has a coefficient of its own. That of the
        exponential is bounded by k2 ≥ 0 and may be negative.
    k2_prime
        Where it is fixed [min⁻¹], C_R + (k2′ − θ) e^(−θt) ⊗ C_R stands in place of the exponential.
    """

    exponentials: int
    integral: bool = False
    blood: Blood = "fixed"
    reference: bool = False
    k2_prime: float | None = None

    @property
    def linear(self) -> int:
        """Number of columns that don't depend on a rate."""
        return int(self.integral) + int(self.reference) + int(self.blood == "free")

    @property
    def size(self) -> int:
        """Number of free coefficients and rates."""
        return 2 * self.exponentials + self.linear

    def vascular(self, blood_volume: float | None) -> float:
        """The vB whose share of the curve is known beforehand."""
        return {"fixed": blood_volume or 0.0, "none": 0.0, "free": 0.0, "all": 1.0}[self.blood]


def active_sets_of(model: CompartmentModel, blood_volume: float | None) -> tuple[ActiveSet, ...]:
    """All active sets, from the fewest to the most free numbers; the last one is the interior."""
    blood: tuple[Blood, ...] = ("none", "all", "free") if blood_volume is None else ("fixed",)
    integral = (False, True) if model.integral else (False,)
    every = (ActiveSet(*combination) for combination in product(range(model.exponentials + 1), integral, blood))
    return tuple(sorted(every, key=lambda active_set: active_set.size))


def reference_active_sets(k2_prime: float | None) -> tuple[ActiveSet, ...]:
    """All active sets of the simplified reference tissue model, from the fewest to the most free numbers.

    With a = k2 − R1 θ it is C_T = R1 C_R + a e^(−θt) ⊗ C_R, R1 ≥ 0 and k2 ≥ 0. Where k2 = 0 it is R1 times a curve of
    k2′ = 0; where a = 0, θ has no effect.

    Parameters
    ----------
    k2_prime
        Where it is fixed (SRTM2) [min⁻¹].
    """
    if k2_prime is not None:
        return ActiveSet(0), ActiveSet(1, k2_prime=k2_prime)
    return (
        ActiveSet(0),
        ActiveSet(0, reference=True),
        ActiveSet(1),
        ActiveSet(1, k2_prime=0.0),
        ActiveSet(1, reference=True),
    )


def kinetic_parameters(
    model: Model, active_set: ActiveSet, blood_volume: float | None, free: Sequence[Tensor], like: Tensor
) -> tuple[Tensor, ...]:
    """The model's parameters from the free numbers of an active set.

    Parameters
    ----------
    model, active_set
        The model and the active set of the optimum.
    blood_volume
        vB where the settings fix it.
    free
        Logarithms of the rates, then the coefficients of their exponentials, of ∫C_p and of C_WB or C_R, as far as the
        active_set has them; tensors of shape (voxels,).
    like
        A tensor of the shape, dtype and device of the result.

    Returns
    -------
    One tensor for each of `model.parameters`, NaN where the curve does not determine it.
    """
    count = active_set.exponentials
    rates, gains = [rate.exp() for rate in free[:count]], list(free[count : 2 * count])
    if isinstance(model, CompartmentModel):
        trapped = free[2 * count] if active_set.integral else None
        found = model.microparameters(rates, gains, trapped, like)
        blood = free[-1] if active_set.blood == "free" else torch.full_like(like, active_set.vascular(blood_volume))
        for name in ("K1", "VT", "Ki"):
            if name in found:  # (1 − vB) times it is what the curve shows
                found[name] = (
                    found[name] / (1 - blood) if active_set.blood != "all" else torch.full_like(like, torch.nan)
                )
        found["vB"] = blood
    else:
        found = _reference_parameters(active_set, rates, gains, free[-1] if active_set.reference else None, like)
    return tuple(found.get(parameter.name, torch.full_like(like, torch.nan)) for parameter in model.parameters)


def _reference_parameters(
    active_set: ActiveSet, rates: list[Tensor], gains: list[Tensor], delivery: Tensor | None, like: Tensor
) -> dict[str, Tensor]:
    """R1, k2, k2′, BPND and k2a = θ; `delivery` is the coefficient of C_R."""
    if not rates:
        if delivery is None:
            return {"R1": torch.zeros_like(like), "k2": torch.zeros_like(like)}
        return {"R1": delivery, "BPND": delivery - 1}  # k2 = R1 k2a, whatever k2a
    washout, gain = rates[0], gains[0]
    if active_set.k2_prime is None:
        ratio = torch.zeros_like(like) if delivery is None else delivery
        k2 = gain + ratio * washout
        known = {} if delivery is None else {"k2_prime": k2 / ratio}
    else:
        ratio, k2 = gain, gain * active_set.k2_prime
        known = {"k2_prime": torch.full_like(like, active_set.k2_prime)}
    return {"R1": ratio, "k2": k2, "BPND": k2 / washout - 1, "k2a": washout} | known


def unsettled(
    model: Model, active_set: ActiveSet, free: Sequence[Tensor], like: Tensor, slowest: float = RATE_BOUNDS[0]
) -> Tensor:
    """Which parameters say only where the lower bound of the rates lies, shape (parameters, voxels).

    A tissue that does not reach equilibrium within the scan has its slowest rate on that bound; VT and BPND grow
    without limit as the rate goes to zero, so their values there are no estimates. K1, k2 and k3 hardly depend on it.

    Parameters
    ----------
    model, active_set, free, like
        The same as those of `kinetic_parameters`.
    slowest
        Lower bound of the rates [min⁻¹].
    """
    on_bound = (
        free[0] <= math.log(slowest) + _JUST_INSIDE
        if active_set.exponentials
        else torch.zeros_like(like, dtype=torch.bool)
    )
    return torch.stack([on_bound & (parameter.name in _VOLUMES) for parameter in model.parameters])
