"""Compartment models fitted to many curves at once."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.errors import FrameTimingError
from dlif_core.kinetics.compartment.active_set import ActiveSet, active_sets_of
from dlif_core.kinetics.compartment.design import FrameColumns
from dlif_core.kinetics.compartment.solver import ActiveSetOptimum, CompartmentSolver
from dlif_core.kinetics.context import Array, Estimates, FitContext
from dlif_core.kinetics.model import CompartmentModel
from dlif_core.kinetics.settings import FitSettings


class SolverEstimator:
    """An estimator around a batched solver.

    Parameters
    ----------
    columns
        Columns of the scan and its input.
    solver
        The solver that was made from them.
    """

    def __init__(self, columns: FrameColumns, solver: CompartmentSolver) -> None:
        self._columns, self.solver = columns, solver

    def fit(self, activity: NDArray[Any]) -> Estimates:
        """Fit finite curves of shape (frames, curves) [Bq/mL]."""
        return self.estimates(self.optimum(activity))

    def optimum(self, activity: NDArray[Any]) -> ActiveSetOptimum:
        """Where the optimum of curves of shape (frames, curves) lies."""
        return self.solver.optimum(self.solver.curves(activity))

    def estimates(self, optimum: ActiveSetOptimum) -> Estimates:
        """Parameters, standard errors and status at the optimum."""
        found = self.solver.estimates(optimum)
        values, errors = (torch.stack(part).numpy() for part in (found.values, found.errors))
        return Estimates(values, errors, found.status.numpy(), found.rss.numpy())

    def fitted(self, activity: NDArray[Any], _: Estimates) -> Array:
        """The model's curves at the optimum, shape (frames, curves) [Bq/mL]."""
        optimum = self.optimum(activity)
        active_sets = [self.solver.active_sets[index] for index in optimum.active_set.tolist()]
        numbers = optimum.numbers.cpu().numpy().T
        return np.array([self._curve(active_set, row) for active_set, row in zip(active_sets, numbers, strict=True)]).T

    def rates(self, curve: Array) -> Array:
        """Rates θ at the optimum of one curve of shape (frames,), as many as there are [min⁻¹]."""
        start = self.solver.start(curve)
        return np.exp(start.numbers[: start.active_set.exponentials])

    def _curve(self, active_set: ActiveSet, numbers: Array) -> Array:
        return model_curve(self._columns, active_set, numbers[: active_set.size], self.solver.blood_volume)


class CompartmentEstimator(SolverEstimator):
    """The batched least-squares fit of a compartment model.

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
        require_enough_frames(len(context.timing), settings)
        assert context.input_function is not None
        columns = FrameColumns(context.timing, context.input_function)
        given = columns, settings.kinetic_model, context.weights, settings.blood_volume, context.device
        super().__init__(columns, CompartmentSolver(*given, rates=settings.rate_bounds))


def model_curve(columns: FrameColumns, active_set: ActiveSet, numbers: Array, blood_volume: float | None) -> Array:
    """The curve of the free numbers of an active set, shape (frames,) [Bq/mL].

    Parameters
    ----------
    columns
        Columns of the scan and its input.
    active_set, numbers
        A active_set and its free numbers, see `kinetic_parameters`.
    blood_volume
        vB where the settings fix it.
    """
    count = active_set.exponentials
    curve = active_set.vascular(blood_volume) * columns.whole_blood
    if count:
        rates = np.exp(numbers[:count])
        of_rates = columns.exponential(rates)
        if active_set.k2_prime is not None:
            of_rates = columns.whole_blood + (active_set.k2_prime - rates[:, None]) * of_rates
        curve = curve + numbers[count : 2 * count] @ of_rates
    if active_set.integral:
        curve = curve + numbers[2 * count] * columns.integral
    own = active_set.reference or active_set.blood == "free"
    return np.asarray(curve + numbers[-1] * columns.whole_blood if own else curve)


def require_enough_frames(frames: int, settings: FitSettings) -> None:
    """Refuse a scan that has too few frames for its model."""
    needed = active_sets_of(cast("CompartmentModel", settings.kinetic_model), settings.blood_volume)[-1].size + 1
    if frames < needed:
        raise FrameTimingError(
            f"{frames} frames can't determine {needed - 1} free numbers.",
            where=f"model {settings.model}",
            hint=f"Use a simpler model or at least {needed} frames.",
        )
