"""Sensitivity of the optimum of a compartment fit to its input function (implicit function theorem).

With n the free numbers in the active set of the optimum, m(n, z) the weighted model curve, z a factor of the input
function and r the residual, the gradient of the residual sum stays zero if

    (JᵀJ − Σ r ∂²m/∂n²) dn/dz = Σ r ∂²m/∂n∂z − Jᵀ ∂m/∂z,   J = ∂m/∂n.

Of Σ r ∂²m/∂n² only the second derivatives by ln θ are left: the residual is orthogonal to each column in use and to
its derivative. Model curves are linear in the input function, so ∂m/∂z is the same sum of columns with the factor in
place of the input function.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from torch import Tensor

from dlif_core.kinetics.compartment.active_set import ActiveSet, active_sets_of, kinetic_parameters
from dlif_core.kinetics.compartment.design import FrameColumns, ModelSpace, dot, polynomial, tile_size
from dlif_core.kinetics.compartment.solver import ActiveSetOptimum
from dlif_core.kinetics.model import CompartmentModel
from dlif_core.kinetics.settings import FitSettings

Array = NDArray[np.float64]

#: Points of the tables over ln θ, degree of the splines through them and powers of the polynomial around each point.
_POINTS, _DEGREE, _POWERS = 193, 7, 5
#: Distance from a bound at which a rate rests on it [ln θ].
_AT_BOUND = 1e-9
#: Pivot of the normalised matrix below which numbers can't be told apart.
_SINGULAR = 1e-13
#: Step of the complex-step derivative, exact to rounding (Squire & Trapp, SIAM Rev 1998;40:110).
_STEP = 1e-50


@dataclass(frozen=True, eq=False)
class Columns:
    """Frame averages that model curves are sums of, or their changes.

    Attributes
    ----------
    exponential
        e^(−θt) ⊗ C_p at the rates of `rate_grid`, shape (rates, frames) [Bq/mL·min].
    linear
        ∫C_p and C_WB, shape (2, frames).
    """

    exponential: Array
    linear: Array

    @classmethod
    def of(cls, columns: FrameColumns, settings: FitSettings) -> Columns:
        """The columns of an input function, or of a curve to be added to it."""
        return cls(columns.exponential(rate_grid(settings)), np.stack([columns.integral, columns.whole_blood]))

    def less(self, other: Columns, distance: float) -> Columns:
        """The difference from other columns over a distance."""
        return Columns((self.exponential - other.exponential) / distance, (self.linear - other.linear) / distance)

    @property
    def every(self) -> Array:
        """All of them, shape (rates + 2, frames)."""
        return np.vstack([self.exponential, self.linear])


def rate_grid(settings: FitSettings) -> Array:
    """Rates at which `CompartmentSensitivity` needs columns [min⁻¹]."""
    return np.geomspace(*settings.rate_bounds, _POINTS)


@dataclass(frozen=True)
class _Part:
    """A column of the model curves and its derivatives by ln θ, as many as are needed.

    Attributes
    ----------
    column
        Each of shape (curves, directions).
    change
        What each factor adds to it, each of shape (curves, factors, directions).
    """

    column: Sequence[Tensor]
    change: Sequence[Tensor]


@dataclass(frozen=True)
class _Number:
    """A free number's derivatives of the model curve.

    Attributes
    ----------
    slope
        Derivative of the curve, shape (curves, directions).
    cross
        Second derivatives by it and the factors, times the residual, shape (curves, factors).
    curvature
        Second derivative by the number itself, times the residual, shape (curves,).
    """

    slope: Tensor
    cross: Tensor
    curvature: Tensor


class CompartmentSensitivity:
    """Derivatives of the parameters of a compartment model by factors of its input function.

    Parameters
    ----------
    columns
        Columns of the input function.
    factors
        Columns of each of its factors.
    weights
        Frame weights, shape (frames,).
    settings
        Model and options.
    inputs
        Derivatives of the columns by the numbers of the input function that were fitted together with the curve. With
        any, the residual is left out.
    device
        Where to compute.
    """

    def __init__(
        self,
        columns: Columns,
        factors: Sequence[Columns],
        weights: Array,
        settings: FitSettings,
        inputs: Sequence[Columns] = (),
        device: str = "cpu",
    ) -> None:
        model = settings.kinetic_model
        assert isinstance(model, CompartmentModel)
        self._model, self._blood_volume = model, settings.blood_volume
        self._faces = active_sets_of(model, settings.blood_volume)
        self._bounds = math.log(settings.rate_bounds[0]), math.log(settings.rate_bounds[1])
        self._factors, self._inputs = len(factors), len(inputs)
        root = np.sqrt(weights)
        every = [columns, *factors, *inputs]
        self._space = ModelSpace(np.vstack([part.every for part in every]) * root, root, device)
        inside = [self._space.coordinates(part.every * root) for part in every]
        self._size = inside[0].shape[1]
        self._linear = torch.as_tensor(inside[0][_POINTS:], device=device)
        self._linear_change = torch.as_tensor(np.hstack([part[_POINTS:] for part in inside[1:]]), device=device)
        self._column = _Table(self._bounds, inside[0][:_POINTS], device)
        self._change = _Table(self._bounds, np.hstack([part[:_POINTS] for part in inside[1:]]), device)

    def __call__(self, activity: NDArray[Any], optimum: ActiveSetOptimum) -> Array:
        """Derivatives at the optimum of curves of shape (frames, curves), shape (factors, parameters, curves).

        They are those on the active set of the optimum: zero for a parameter that rests on a bound. NaN where the free
        numbers can't be told apart.
        """
        curves = self._space.curves(activity).inside
        found = optimum.numbers.new_zeros((self._factors, len(self._model.parameters), len(curves)))
        for index, active_set in enumerate(self._faces):
            members = (optimum.active_set == index).nonzero()[:, 0]
            for some in torch.split(members, tile_size(curves)) if len(members) and active_set.size else ():
                found[..., some] = self._on_active_set(
                    active_set, optimum.numbers[: active_set.size, some], curves[some]
                )
        return found.cpu().numpy()

    def _on_active_set(self, active_set: ActiveSet, free: Tensor, curves: Tensor) -> Tensor:
        zero = free.new_zeros(free.shape[1])
        derivatives = []
        for direction in self._number_derivatives(active_set, free, curves):
            numbers = [torch.complex(number, _STEP * change) for number, change in zip(free, direction, strict=True)]
            found = kinetic_parameters(self._model, active_set, self._blood_volume, numbers, torch.complex(zero, zero))
            derivatives.append(torch.stack(found).imag / _STEP)
        return torch.stack(derivatives)

    def _number_derivatives(self, active_set: ActiveSet, free: Tensor, curves: Tensor) -> Tensor:
        """Derivatives of the free numbers, shape (factors, numbers, curves)."""
        exponentials, gains = (
            [self._exponential(rate) for rate in free[: active_set.exponentials]],
            free[active_set.exponentials :],
        )
        levels = self._levels(active_set, free)
        model, change = levels @ self._linear, self._by_factor(levels @ self._linear_change)
        for gain, part in zip(gains, exponentials, strict=False):
            model = torch.addcmul(model, gain[:, None], part.column[0])
            change = torch.addcmul(change, gain[:, None, None], part.change[0])
        residual = torch.zeros_like(model) if self._inputs else curves - model
        numbers = self._numbers(active_set, free, exponentials, residual)
        zero = torch.zeros_like(change[..., 0])
        numbers += [_Number(change[:, index], zero, zero[:, 0]) for index in range(self._factors, change.shape[1])]
        return _solve(numbers, change)[:, : active_set.size, : self._factors].permute(2, 1, 0)

    def _numbers(
        self, active_set: ActiveSet, free: Tensor, exponentials: list[_Part], residual: Tensor
    ) -> list[_Number]:
        """The free numbers in their order; a rate on its bound is held there."""
        low, high = self._bounds
        zero = torch.zeros_like(free[0])
        numbers = []
        for rate, gain, part in zip(free, free[len(exponentials) :], exponentials, strict=False):
            active = (gain * ((rate > low + _AT_BOUND) & (rate < high - _AT_BOUND)))[:, None]
            curvature = active[:, 0] * dot(part.column[2], residual)
            numbers.append(_Number(active * part.column[1], active * _times(part.change[1], residual), curvature))
        used = [self._constant(index, residual) for index in _columns_in_use(active_set)]
        numbers += [_Number(part.column[0], _times(part.change[0], residual), zero) for part in [*exponentials, *used]]
        return numbers

    def _exponential(self, rate: Tensor) -> _Part:
        return _Part(self._column(rate, 2), [self._by_factor(part) for part in self._change(rate, 1)])

    def _constant(self, index: int, like: Tensor) -> _Part:
        """∫C_p or C_WB."""
        change = self._by_factor(self._linear_change[index])
        return _Part([self._linear[index].expand_as(like)], [change.expand(len(like), -1, -1)])

    def _by_factor(self, changes: Tensor) -> Tensor:
        return changes.view(-1, changes.shape[-1] // self._size, self._size)

    def _levels(self, active_set: ActiveSet, free: Tensor) -> Tensor:
        """Coefficients of ∫C_p and C_WB, known ones too, shape (curves, 2)."""
        found = free.new_zeros((free.shape[1], 2))
        found[:, 1] = active_set.vascular(self._blood_volume)
        for number, index in enumerate(_columns_in_use(active_set), 2 * active_set.exponentials):
            found[:, index] = free[number]
        return found


def _columns_in_use(active_set: ActiveSet) -> list[int]:
    """Which of ∫C_p and C_WB have a free coefficient."""
    return [index for index, used in enumerate((active_set.integral, active_set.blood == "free")) if used]


def _times(changes: Tensor, residual: Tensor) -> Tensor:
    """Scalar products with what every factor adds, shape (curves, factors)."""
    return torch.bmm(changes, residual[:, :, None])[:, :, 0]


class _Table:
    """Components over ln θ: the Taylor polynomial of a spline around each point of the grid.

    Parameters
    ----------
    bounds
        First and last ln θ of the grid.
    values
        Shape (points, components).
    device
        Where to compute.
    """

    def __init__(self, bounds: tuple[float, float], values: Array, device: str) -> None:
        grid = np.linspace(*bounds, len(values))
        spline, self._step = make_interp_spline(grid, values, k=_DEGREE), float(grid[1] - grid[0])
        powers = [spline(grid, nu=n) * self._step**n / math.factorial(n) for n in reversed(range(_POWERS))]
        self._first, self._coefficients = bounds[0], torch.as_tensor(np.stack(powers, 1), device=device)

    def __call__(self, at: Tensor, order: int) -> list[Tensor]:
        """Value and derivatives up to `order` at ln θ of shape (curves,), each of shape (curves, components)."""
        position = (at - self._first) / self._step
        point = position.round().clamp_(0, len(self._coefficients) - 1)
        near = self._coefficients.index_select(0, point.long())
        found = polynomial(near.unbind(1), (position - point)[:, None], order)
        return [value / self._step**power for power, value in enumerate(found)]


def _solve(numbers: Sequence[_Number], change: Tensor) -> Tensor:
    """Derivatives of the numbers by the factors, shape (curves, numbers, factors)."""
    slopes = torch.stack([number.slope for number in numbers], 1)
    matrix = torch.bmm(slopes, slopes.transpose(1, 2))
    right = torch.stack([number.cross for number in numbers], 1) - torch.bmm(slopes, change.transpose(1, 2))
    size = matrix.diagonal(dim1=1, dim2=2).sqrt()
    held = size == 0
    scale = torch.where(held, 0.0, 1 / size)
    matrix = matrix - torch.diag_embed(torch.stack([number.curvature for number in numbers], 1))
    matrix = scale[:, :, None] * matrix * scale[:, None] + torch.diag_embed(held.to(matrix.dtype))
    lower, failed = torch.linalg.cholesky_ex(matrix)
    found = scale[:, :, None] * torch.cholesky_solve(scale[:, :, None] * right, lower)
    pivots = lower.diagonal(dim1=1, dim2=2).square().amin(1)
    return torch.where(((failed > 0) | ~(pivots > _SINGULAR))[:, None, None], torch.nan, found)
