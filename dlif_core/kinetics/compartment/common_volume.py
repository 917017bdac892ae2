"""Reversible two-tissue model with one VND = K1/k2 for all regions of a scan, fitted to all of them at once.

For a given VND the regions have nothing in common, so the joint residual sum is a function of VND alone, of which each
value costs one small fit a region. Its derivative is that of the residuals at fixed numbers of the regions, because
those are at their optimum. So the joint optimum is where the derivative vanishes; where the search for it begins comes
from a grid over all numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from dlif_core.errors import FrameTimingError
from dlif_core.kinetics.compartment.bounded import BoundedOptimum, best_fit, derivatives
from dlif_core.kinetics.compartment.design import FrameColumns
from dlif_core.kinetics.compartment.two_tissue import two_tissue_response
from dlif_core.kinetics.context import Array, Estimates, FitContext, FitStatus
from dlif_core.kinetics.model import RATE_BOUNDS
from dlif_core.kinetics.settings import FitSettings

#: Bounds of VND [mL cm⁻³].
VND_BOUNDS = (0.02, 50.0)
_LOG_VND = np.log(np.geomspace(VND_BOUNDS[0], VND_BOUNDS[1], 41))
#: Grid over k2, k3 and k4 [min⁻¹].
_GRID = np.array(
    [
        (k2, k3, k4)
        for k2 in np.geomspace(0.01, 3.0, 12)
        for k3 in (0.0, *np.geomspace(0.005, 1.0, 8))
        for k4 in np.geomspace(0.004, 0.6, 7)
    ]
)
#: Starts of every region, and rounds in which they are tried again at the joint optimum.
_STARTS, _ROUNDS = 2, 3
#: First step downhill and resolution, both of ln VND.
_FIRST_STEP, _RESOLUTION = 0.05, 1e-6


@dataclass(frozen=True)
class Joint:
    """All regions at one VND.

    Attributes
    ----------
    log_vnd
        ln VND.
    regions
        BoundedOptimum of each region: numbers are ln k2, k3, ln k4 and, where it is fitted, vB.
    """

    log_vnd: float
    regions: tuple[BoundedOptimum, ...]

    @property
    def rss(self) -> float:
        """Joint residual sum of squares."""
        return sum(region.rss for region in self.regions)


class CommonVolumeFit:
    """Fits all curves that it gets at once.

    Parameters
    ----------
    context, settings
        What the curves share, with an input function that is already delayed, and how to fit.

    Raises
    ------
    FrameTimingError
        If there are not more frames than free numbers.
    """

    def __init__(self, context: FitContext, settings: FitSettings) -> None:
        assert context.input_function is not None
        self._columns = FrameColumns(context.timing, context.input_function)
        self._root = np.sqrt(context.weights)
        self._blood_volume = settings.blood_volume
        self._model = settings.kinetic_model
        blood = [] if settings.blood_volume is not None else [(0.0, 1.0)]
        logs = tuple(np.log(RATE_BOUNDS))
        self._lower, self._upper = np.array([logs, (0.0, RATE_BOUNDS[1]), logs, *blood]).T
        self._freedom = int(np.count_nonzero(context.weights)) - len(self._lower)
        if self._freedom < 2:
            raise FrameTimingError(
                f"{len(context.weights)} frames can't determine {len(self._lower) + 1} numbers.",
                where=f"model {settings.model}",
                hint="Use a simpler model.",
            )

    def fit(self, activity: NDArray[Any]) -> Estimates:
        """Fit finite curves of shape (frames, curves) [Bq/mL], all with one VND."""
        joint = self._optimum(np.asarray(activity, float).T * self._root)
        spread = self._variance_of_vnd(joint)
        parts = [self._estimate(joint.log_vnd, region, spread) for region in joint.regions]
        values, errors = (np.array([part[i] for part in parts]).T for i in (0, 1))
        status = np.array([self._status(joint.log_vnd, region) for region in joint.regions], np.uint8)
        return Estimates(values, errors, status, np.array([region.rss for region in joint.regions]))

    def fitted(self, _: NDArray[Any], estimates: Estimates) -> Array:
        """The model's curves, shape (frames, curves) [Bq/mL]."""
        names = [parameter.name for parameter in self._model.parameters]
        found = dict(zip(names, np.nan_to_num(estimates.values), strict=True))
        k2, blood = np.maximum(found["k2"], RATE_BOUNDS[0]), found["vB"][:, None]
        tissue = found["K1"][:, None] * two_tissue_response(self._columns, k2, found["k3"], found["k4"])
        return np.asarray((1 - blood) * tissue + blood * self._columns.whole_blood).T

    def _optimum(self, weighted: Array) -> Joint:
        """The joint optimum of weighted curves of shape (regions, frames)."""
        rss = np.array([self._on_grid(weighted, log_vnd)[0] for log_vnd in _LOG_VND])
        around = np.pad(rss, 1, constant_values=np.inf)
        valleys = _LOG_VND[(rss <= around[:-2]) & (rss < around[2:])]
        starts = (self._at(weighted, float(valley), self._on_grid(weighted, valley)[1]) for valley in valleys)
        best = min((self._follow(weighted, start) for start in starts), key=lambda joint: joint.rss)
        for _ in range(_ROUNDS):
            again = self._at(weighted, best.log_vnd, self._on_grid(weighted, best.log_vnd)[1])
            if again.rss >= best.rss * (1 - 1e-6):
                break
            best = self._follow(weighted, again)
        return best

    @cached_property
    def _grid_curves(self) -> Array:
        """Weighted k2 C_T / K1 of the grid over k2, k3 and k4, shape (points, frames)."""
        k2, k3, k4 = _GRID.T
        return np.asarray(k2[:, None] * two_tissue_response(self._columns, k2, k3, k4) * self._root)

    def _on_grid(self, weighted: Array, log_vnd: float) -> tuple[float, list[list[Array]]]:
        """Joint residual sum at the best grid points, and the best points of every region."""
        tissue, blood = np.exp(log_vnd) * self._grid_curves, self._columns.whole_blood * self._root
        away = blood - tissue
        left = weighted @ away.T - (tissue * away).sum(1)
        square = np.square(weighted).sum(1)[:, None] - 2 * weighted @ tissue.T + np.square(tissue).sum(1)
        length = np.square(away).sum(1)
        share = np.clip(left / length, 0, 1) if self._blood_volume is None else np.full_like(left, self._blood_volume)
        rss = square - 2 * share * left + share**2 * length
        best = np.argsort(rss, axis=1)[:, :_STARTS]
        starts = [[self._numbers(point, share[region, point]) for point in some] for region, some in enumerate(best)]
        return float(rss.min(axis=1).sum()), starts

    def _numbers(self, point: int, share: float) -> Array:
        k2, k3, k4 = _GRID[point]
        return np.array([np.log(k2), k3, np.log(k4), share][: len(self._lower)])

    def _at(self, weighted: Array, log_vnd: float, starts: Sequence[Sequence[Array]]) -> Joint:
        """All regions at their optimum for one VND."""
        pairs = zip(weighted, starts, strict=True)
        return Joint(log_vnd, tuple(self._fit_region(curve, log_vnd, some) for curve, some in pairs))

    def _fit_region(self, weighted: Array, log_vnd: float, starts: Sequence[Array]) -> BoundedOptimum:
        def residual(numbers: Array) -> Array:
            tissue, blood = self._parts(log_vnd, numbers)
            return weighted - tissue - blood

        found = best_fit(residual, starts, self._lower, self._upper)
        free = found.free & ((np.arange(len(found.free)) != 2) | found.free[1])  # without k3 there is no k4
        return replace(found, free=free)

    def _parts(self, log_vnd: float, numbers: Array) -> tuple[Array, Array]:
        """Weighted shares of tissue and of blood in the model curve, each of shape (frames,)."""
        k2, k3, k4 = np.exp(numbers[0]), numbers[1], np.exp(numbers[2])
        share = self._share(numbers)
        tissue = two_tissue_response(self._columns, [k2], [k3], [k4])[0]
        return (1 - share) * np.exp(log_vnd) * k2 * tissue * self._root, share * self._columns.whole_blood * self._root

    def _share(self, numbers: Any) -> Any:
        return numbers[3] if self._blood_volume is None else self._blood_volume

    def _slope(self, joint: Joint) -> float:
        """Derivative of the joint residual sum by ln VND."""
        return -2 * sum(float(self._parts(joint.log_vnd, r.numbers)[0] @ r.residual) for r in joint.regions)

    def _follow(self, weighted: Array, joint: Joint) -> Joint:
        """Downhill in ln VND until the joint residual sum is at its least."""

        def joint_at(log_vnd: float) -> Joint:
            nonlocal joint
            joint = self._at(weighted, log_vnd, [[region.numbers] for region in joint.regions])
            return joint

        known = {joint.log_vnd: self._slope(joint)}

        def slope(log_vnd: float) -> float:
            if log_vnd not in known:
                known[log_vnd] = self._slope(joint_at(log_vnd))
            return known[log_vnd]

        direction, step, edge, ahead = -np.sign(known[joint.log_vnd]), _FIRST_STEP, joint.log_vnd, joint.log_vnd
        while slope(ahead) * direction < 0:
            edge, ahead = ahead, float(np.clip(ahead + direction * step, *np.log(VND_BOUNDS)))
            if ahead == edge:
                return joint
            step *= 2
        return joint if ahead == edge else joint_at(float(brentq(slope, edge, ahead, xtol=_RESOLUTION)))

    def _variance_of_vnd(self, joint: Joint) -> float:
        """Variance of ln VND; every region counts with its own noise."""
        if not _inside(joint.log_vnd):
            return math.nan
        pull, spread = 0.0, 0.0
        for region in joint.regions:
            tissue, _ = self._parts(joint.log_vnd, region.numbers)
            others = region.jacobian[:, region.free]
            rest = tissue - others @ np.linalg.lstsq(others, tissue, rcond=None)[0]
            pull += float(rest @ rest)
            spread += self._noise(region) * float(rest @ rest)
        return spread / pull**2 if pull > 0 else math.nan

    def _noise(self, region: BoundedOptimum) -> float:
        return region.rss / max(self._freedom, 1)

    def _estimate(self, log_vnd: float, region: BoundedOptimum, spread: float) -> tuple[Array, Array]:
        """Parameters and standard errors of one region, each of shape (parameters,)."""
        numbers = np.array([log_vnd, *region.numbers])
        values = np.real(self._parameters(numbers))
        change = derivatives(self._parameters, numbers)
        variances = np.diag(change @ self._covariance(log_vnd, region, spread) @ change.T)
        lost = self._lost(region)
        errors = np.sqrt(np.where((variances > 0) & ~lost, variances, np.nan))
        return np.where(lost, np.nan, values), errors

    def _covariance(self, log_vnd: float, region: BoundedOptimum, spread: float) -> Array:
        """Covariance of ln VND and the region's numbers: from its own noise, and from the spread of VND."""
        full = np.zeros((len(region.numbers) + 1,) * 2)
        inverse = region.inverse()
        if inverse is None:
            return full
        tissue, _ = self._parts(log_vnd, region.numbers)
        along = np.array([1.0, *(inverse @ (region.jacobian.T @ tissue))])
        full[1:, 1:] = self._noise(region) * inverse
        return np.asarray(full + np.nan_to_num(spread) * np.outer(along, along))

    def _parameters(self, numbers: Any) -> Any:
        """The model's parameters, in order, from ln VND, ln k2, k3, ln k4 and vB."""
        vnd, k2, k3, k4 = np.exp(numbers[0]), np.exp(numbers[1]), numbers[2], np.exp(numbers[3])
        share = self._share(numbers[1:])
        binding = k3 / k4
        return np.array([vnd * k2, k2, k3, k4, share, vnd, vnd * (1 + binding), binding])

    def _lost(self, region: BoundedOptimum) -> NDArray[np.bool_]:
        """What the curve does not determine, in the model's order."""
        names = {"k4"} if region.numbers[1] == self._lower[1] else set()
        if region.numbers[1] > self._lower[1] and region.numbers[2] == self._lower[2]:
            names |= {"VT", "BPND"}  # they grow without limit as k4 goes to zero
        if self._without_tissue(region):
            names |= {"K1", "k2", "k3", "k4", "VT", "BPND"}
        return np.array([parameter.name in names for parameter in self._model.parameters])

    def _without_tissue(self, region: BoundedOptimum) -> bool:
        return bool(region.numbers[0] == self._lower[0] or self._share(region.numbers) == 1)

    def _status(self, log_vnd: float, region: BoundedOptimum) -> int:
        if not region.converged:
            return int(FitStatus.NOT_CONVERGED)
        if self._without_tissue(region) or region.inverse() is None:
            return int(FitStatus.DEGENERATE)
        return int(FitStatus.CONVERGED if region.free.all() and _inside(log_vnd) else FitStatus.AT_BOUND)


def _inside(log_vnd: float) -> bool:
    low, high = np.log(VND_BOUNDS)
    return bool(low < log_vnd < high)
