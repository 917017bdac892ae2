"""The batched least-squares fit of a compartment model under bounds.

1. On the interior of the feasible set: grid search, then Newton ascent in ln θ. Where that optimum is feasible it is
   the optimum under the bounds too.
2. Only curves that violate a bound are fitted again, on every face of the feasible set, starting from the best
   feasible grid point of that face; the face with the smallest residual sum wins. At first without the bound vB ≤ 1:
   where the optimum keeps it all the same, it is the optimum under it too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlif_core.kinetics.design import FrameColumns, Spline
from dlif_core.kinetics.faces import Face, faces_of, kinetic_parameters
from dlif_core.kinetics.models import RATE_BOUNDS, Model
from dlif_core.kinetics.newton import ascend
from dlif_core.kinetics.projection import Bounds, Projection, dot, solve_pair
from dlif_core.kinetics.settings import FitStatus

Array = NDArray[np.float64]

#: Points of the splines over ln θ.
_POINTS = 1025
#: Share of the curve's norm below which a coefficient counts as zero.
_NEGLIGIBLE = 1e-6
#: Pivot of the normalised normal equations below which parameters aren't identifiable.
_SINGULAR = 1e-13
#: Step of the complex-step derivative, exact to rounding (Squire & Trapp, SIAM Rev 1998;40:110).
_IMAGINARY = 1e-50j


@dataclass(frozen=True)
class Optimum:
    """Where the optimum of each curve lies.

    Attributes
    ----------
    face
        Index into `CompartmentSolver.faces`, shape (voxels,).
    log_rates
        ln θ [ln min⁻¹], shape (2, voxels); NaN beyond the rates that the face has.
    rss
        Weighted residual sum of squares, shape (voxels,).
    converged
        Shape (voxels,).
    overfull
        Whether vB exceeds 1, shape (voxels,).
    """

    face: Tensor
    log_rates: Tensor
    rss: Tensor
    converged: Tensor
    overfull: Tensor


@dataclass(frozen=True)
class FaceFit:
    """Linear regression on a face at given rates.

    Attributes
    ----------
    gains
        Coefficients of the exponentials, shape (rates, voxels).
    levels
        Coefficients of the columns without rate, shape (columns, voxels).
    residual
        Weighted, shape (voxels, frames).
    positive
        Whether every coefficient is above zero, shape (voxels,).
    overfull
        Whether vB exceeds 1, shape (voxels,).
    """

    gains: Tensor
    levels: Tensor
    residual: Tensor
    positive: Tensor
    overfull: Tensor


@dataclass(frozen=True)
class Estimates:
    """Result of a fit; tensors of shape (voxels,), in the order of the model's parameters."""

    values: tuple[Tensor, ...]
    errors: tuple[Tensor, ...]
    status: Tensor
    rss: Tensor


@dataclass(frozen=True)
class Start:
    """The optimum of one curve, from which another optimiser can go on.

    Attributes
    ----------
    face
        On which it lies.
    numbers
        Free numbers of the face, shape (numbers,).
    rss
        Weighted residual sum of squares.
    status
        A `FitStatus`.
    errors
        Standard errors, shape (parameters,).
    """

    face: Face
    numbers: Array
    rss: float
    status: int
    errors: Array


class CompartmentSolver:
    """Fits one compartment model to many curves that share an input function and frame weights.

    Parameters
    ----------
    columns
        Of the scan and its input function.
    model
        A compartment model.
    weights
        Of the frames, shape (frames,).
    blood_volume
        None fits vB.
    device
        Torch device; all is computed in float64.
    points
        Of the splines over ln θ.
    """

    def __init__(
        self,
        columns: FrameColumns,
        model: Model,
        weights: Array,
        blood_volume: float | None,
        device: str = "cpu",
        points: int = _POINTS,
    ) -> None:
        self.model, self.blood_volume = model, blood_volume
        self.faces = faces_of(model, blood_volume)
        root = np.sqrt(weights)
        log_rates = np.linspace(math.log(RATE_BOUNDS[0]), math.log(RATE_BOUNDS[1]), points)
        exponential = columns.exponential(np.exp(log_rates)) * root
        self._root = torch.as_tensor(root, device=device)
        self._whole_blood = torch.as_tensor(columns.whole_blood * root, device=device)
        self._exponential = Spline.through(log_rates, exponential, device)
        self._projections = {}
        for face in self.faces:
            fixed = [columns.integral] * face.integral + [columns.whole_blood] * (face.blood == "free")
            stack = np.array(fixed).reshape(-1, len(root)) * root
            self._projections[face] = Projection(log_rates, exponential, stack, face, device)

    def weighted(self, activity: Array) -> Tensor:
        """Curves times the square root of the weights, as (voxels, frames), from shape (frames, voxels)."""
        curves = torch.as_tensor(np.ascontiguousarray(activity.T, dtype=np.float64), device=self._root.device)
        return curves * self._root

    def fit(self, activity: Array) -> Estimates:
        """Fit finite curves of shape (frames, voxels) [Bq/mL]."""
        curves = self.weighted(activity)
        return self.estimates(self.optimum(curves), curves)

    def start(self, curve: Array) -> Start:
        """Fit one curve of shape (frames,) [Bq/mL] for another optimiser."""
        weighted = self.weighted(curve[:, None])
        optimum = self.optimum(weighted)
        estimates = self.estimates(optimum, weighted)
        face = self.faces[int(optimum.face[0])]
        log_rates = optimum.log_rates[: face.exponentials]
        columns = [self._exponential(rate)[0] for rate in log_rates]
        fit = self._regress(face, log_rates, columns, self._tissue(face, weighted))
        numbers = torch.cat([log_rates, fit.gains, fit.levels])[:, 0].cpu().numpy()
        errors = torch.stack(estimates.errors)[:, 0].numpy()
        return Start(face, numbers, float(optimum.rss[0]), int(estimates.status[0]), errors)

    def optimum(self, curves: Tensor) -> Optimum:
        """The optimum of weighted curves of shape (voxels, frames)."""
        interior = len(self.faces) - 1
        found, positive = self._on_face(interior, curves, "none")
        _replace(found, ~positive, lambda some: self._on_any_face(curves[some], "lower"))
        _replace(found, found.overfull, lambda some: self._on_any_face(curves[some], "all"))
        return found

    def _on_any_face(self, curves: Tensor, bounds: Bounds) -> Optimum:
        """The best of all faces; one with more free numbers must be better beyond rounding."""
        best, _ = self._on_face(0, curves, bounds)
        for index, face in enumerate(self.faces[1:], 1):
            if face.blood == "all" and bounds == "lower":
                continue
            found, feasible = self._on_face(index, curves, bounds)
            worth = found.rss < best.rss * (1 - 1e-9) - _NEGLIGIBLE**2 * dot(curves, curves)
            better = feasible & worth
            chosen = [
                torch.where(better, new, old)
                for new, old in zip(vars(found).values(), vars(best).values(), strict=True)
            ]
            best = Optimum(*chosen)
        return best

    def _on_face(self, index: int, curves: Tensor, bounds: Bounds) -> tuple[Optimum, Tensor]:
        """The optimum on one face, and whether it is feasible."""
        face, count = self.faces[index], len(curves)
        projection, target = self._projections[face], self._tissue(face, curves)
        log_rates = self._empty(count)
        converged = exists = torch.ones_like(curves[:, 0], dtype=torch.bool)
        if face.exponentials:
            start, exists = projection.search(target, bounds)
            log_rates[: face.exponentials], converged = ascend(projection, start, target)
        rates = log_rates[: face.exponentials]
        fit = self._regress(face, rates, [self._exponential(rate)[0] for rate in rates], target)
        faces = torch.full((count,), index, device=curves.device)
        optimum = Optimum(faces, log_rates, dot(fit.residual, fit.residual), converged, fit.overfull)
        return optimum, fit.positive & exists & ~(fit.overfull & (bounds == "all"))

    def _empty(self, count: int) -> Tensor:
        return torch.full((2, count), torch.nan, dtype=torch.float64, device=self._root.device)

    def _tissue(self, face: Face, curves: Tensor) -> Tensor:
        """Curves less the share of blood that is known beforehand."""
        vascular = face.vascular(self.blood_volume)
        return curves - vascular * self._whole_blood if vascular else curves

    def _regress(self, face: Face, log_rates: Tensor, columns: list[Tensor], target: Tensor) -> FaceFit:
        """Coefficients at given rates, with the columns of their exponentials."""
        projection = self._projections[face]
        remainders = [column - (column @ projection.basis) @ projection.basis.T for column in columns]
        gains = _project(remainders, target)
        residual = target
        for gain, column in zip(gains, columns, strict=True):
            residual = residual - gain[:, None] * column
        levels = projection.inverse @ residual.T
        residual = residual - levels.T @ projection.fixed
        positive = ~projection.too_close(log_rates).expand(len(target))
        negligible = _NEGLIGIBLE * target.norm(dim=1)
        for gain, column in zip(gains, columns, strict=True):
            positive = positive & (gain * column.norm(dim=1) > negligible)
        for level, column in zip(levels, projection.fixed, strict=True):
            positive = positive & (level * column.norm() > negligible)
        overfull = levels[-1] >= 1 if face.blood == "free" else torch.zeros_like(positive)
        return FaceFit(gains, levels, residual, positive, overfull)

    def estimates(self, optimum: Optimum, curves: Tensor) -> Estimates:
        """Parameters, standard errors and status at the optimum of weighted curves."""
        count = len(self.model.parameters)
        values, errors = (torch.full((count, len(curves)), torch.nan, dtype=torch.float64) for _ in range(2))
        status = torch.full((len(curves),), int(FitStatus.CONVERGED), dtype=torch.uint8)
        for index, face in enumerate(self.faces):
            members = (optimum.face == index).nonzero()[:, 0]
            if len(members):
                here = members.cpu()
                value, error, code = self._face_estimates(face, optimum, members, curves[members])
                values[:, here], errors[:, here], status[here] = value.cpu(), error.cpu(), code.cpu()
        return Estimates(tuple(values), tuple(errors), status, optimum.rss.cpu())

    def _face_estimates(
        self, face: Face, optimum: Optimum, members: Tensor, curves: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        log_rates = optimum.log_rates[: face.exponentials, members]
        columns, slopes = self._columns(log_rates)
        fit = self._regress(face, log_rates, columns, self._tissue(face, curves))
        low, high = self._projections[face].bounds
        at_bound = (log_rates <= low) | (log_rates >= high)
        tangents = self._tangents(face, columns, slopes, fit.gains)
        held = torch.cat([at_bound, torch.zeros_like(fit.gains, dtype=torch.bool), fit.levels.isnan()])
        covariance, singular = _covariance(tangents, held, fit.residual)
        free = [*log_rates, *fit.gains, *fit.levels]
        values, variances = propagate(self.model, face, self.blood_volume, free, covariance)
        errors = torch.where(variances > 0, variances.sqrt(), torch.nan)
        bound = at_bound.any(0) if face is self.faces[-1] else torch.ones_like(singular)
        status = torch.where(bound, int(FitStatus.AT_BOUND), int(FitStatus.CONVERGED))
        status = status.masked_fill(values.isnan().any(0) | singular, int(FitStatus.DEGENERATE))
        status = status.masked_fill(~optimum.converged[members], int(FitStatus.NOT_CONVERGED))
        return values, errors, status.to(torch.uint8)

    def _columns(self, log_rates: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Columns of exponentials and their derivatives by the logarithms of the rates."""
        both = [self._exponential(rate, 1) for rate in log_rates]
        return [value for value, _ in both], [slope for _, slope in both]

    def _tangents(self, face: Face, columns: list[Tensor], slopes: list[Tensor], gains: Tensor) -> Tensor:
        """Derivatives of the curve by every free number, shape (voxels, numbers, frames)."""
        by_rate = [gain[:, None] * slope for gain, slope in zip(gains, slopes, strict=True)]
        by_level = [column.expand(gains.shape[1], -1) for column in self._projections[face].fixed]
        every = [*by_rate, *columns, *by_level]
        return torch.stack(every, 1) if every else gains.new_zeros((gains.shape[1], 0, len(self._root)))


def _replace(found: Optimum, where: Tensor, fit: Callable[[Tensor], Optimum]) -> None:
    """Put the results of another fit in place of some."""
    some = where.nonzero()[:, 0]
    if len(some):
        for target, source in zip(vars(found).values(), vars(fit(some)).values(), strict=True):
            target[..., some] = source


def _project(remainders: list[Tensor], target: Tensor) -> Tensor:
    """Coefficients of the exponentials, shape (rates, voxels), from what is left of them after projection."""
    if not remainders:
        return torch.zeros((0, len(target)), dtype=target.dtype, device=target.device)
    norms = [remainder.norm(dim=1) for remainder in remainders]
    units = [remainder / norm[:, None] for remainder, norm in zip(remainders, norms, strict=True)]
    products = [dot(unit, target) for unit in units]
    if len(units) == 2:
        products = list(solve_pair(dot(units[0], units[1]), products[0], products[1]))
    return torch.stack([product / norm for product, norm in zip(products, norms, strict=True)])


def _covariance(tangents: Tensor, held: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """Covariance of the free numbers, shape (voxels, numbers, numbers), and whether it is singular.

    Numbers that are held on a bound have no variance.
    """
    held = held.T
    gram = tangents @ tangents.transpose(1, 2)
    norm = gram.diagonal(dim1=1, dim2=2).sqrt().clamp_min(1e-300)
    outer = norm[:, :, None] * norm[:, None]
    unit = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    free = ~(held[:, :, None] | held[:, None])
    factor, failed = torch.linalg.cholesky_ex(torch.where(free, gram / outer, unit))
    smallest = factor.diagonal(dim1=1, dim2=2).square().amin(1) if gram.shape[1] else torch.ones_like(residual[:, 0])
    singular = (failed > 0) | ~(smallest > _SINGULAR)
    freedom = residual.shape[1] - (~held).sum(1)
    variance = dot(residual, residual) / freedom.clamp_min(1)
    variance = torch.where(singular | (freedom < 1), torch.nan, variance)
    inverse = torch.cholesky_inverse(torch.where(singular[:, None, None], unit, factor))
    return torch.where(free, variance[:, None, None] * inverse / outer, 0.0), singular


def propagate(
    model: Model, face: Face, blood_volume: float | None, free: list[Tensor], covariance: Tensor
) -> tuple[Tensor, Tensor]:
    """Parameters and their variances by the delta method, each of shape (parameters, voxels).

    Parameters
    ----------
    model, face, blood_volume
        As for `kinetic_parameters`.
    free
        Free numbers of the face, each of shape (voxels,).
    covariance
        Of the free numbers, shape (voxels, numbers, numbers).
    """
    like = covariance.new_zeros(len(covariance))
    values = torch.stack(kinetic_parameters(model, face, blood_volume, free, like))
    slopes = []
    for index in range(len(free)):
        numbers = [number + (_IMAGINARY if index == other else 0j) for other, number in enumerate(free)]
        moved = kinetic_parameters(model, face, blood_volume, numbers, torch.complex(like, like))
        slopes.append(torch.stack(moved).imag / _IMAGINARY.imag)
    if not slopes:
        return values, torch.zeros_like(values)
    jacobian = torch.stack(slopes, 2)
    return values, torch.einsum("pvi,vij,pvj->pv", jacobian, covariance, jacobian)
