"""Voxelwise fits of any model, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.kinetics.context import Estimates, Estimator, FitContext, FitStatus, as_numbers, require_kind
from dlif_core.kinetics.plausible import marked
from dlif_core.kinetics.preparation import Preparation
from dlif_core.kinetics.settings import FitSettings
from dlif_core.kinetics.uncertainty.input_factors import InputFactors, input_factors
from dlif_core.kinetics.uncertainty.propagation import (
    Propagation,
    input_variables,
    leading_dims,
    propagated,
    propagation,
)


def fit_variables(settings: FitSettings) -> dict[str, dict[str, Any]]:
    """Attributes of the variables of a fit, in order: parameters, their standard errors, status, rss."""
    model = settings.kinetic_model
    variables: dict[str, dict[str, Any]] = {
        p.name: {"units": p.units, "long_name": p.long_name} for p in model.parameters
    }
    for p in model.parameters:
        variables[f"{p.name}_se"] = {"units": p.units, "long_name": f"standard error of {p.name} from noise"}
    variables["status"] = {
        "units": "1",
        "long_name": "status of the fit",
        "flag_values": [int(code) for code in FitStatus],
        "flag_meanings": " ".join(code.name.lower() for code in FitStatus),
    }
    variables["rss"] = {"units": model.rss_units, "long_name": "weighted residual sum of squares"}
    return variables


def named(settings: FitSettings, estimates: Estimates) -> dict[str, NDArray[Any]]:
    """Estimates by the names of `fit_variables`, each of shape (curves,)."""
    arrays = [*estimates.values, *estimates.errors, estimates.status, estimates.rss]
    return dict(zip(fit_variables(settings), arrays, strict=True))


@dataclass(frozen=True, eq=False)
class VoxelFit:
    """Fits every voxel of a block. Small when pickled: what is computed beforehand is computed again where it is used.

    Attributes
    ----------
    prepared
        What all voxels of the scan share, from `dlif_core.kinetics.prepare`.
    chunk
        Voxels that are fitted at once; it bounds memory (at most about 5 kB a voxel) and does not change the results.

    Raises
    ------
    ConfigurationError
        If the model is one for regions only, or something is still to be found: a number that the settings leave open,
        or a delay, which voxels have none of their own.
    """

    prepared: Preparation
    chunk: int = 32768

    def __post_init__(self) -> None:
        require_kind(self.prepared, Preparation, "preparation")
        if isinstance(self.chunk, bool) or not isinstance(self.chunk, int) or self.chunk < 1:
            raise ConfigurationError(f"{self.chunk!r} is no number of voxels.", where="chunk", hint="Give 1 or more.")
        if not self.settings.kinetic_model.voxelwise:
            raise ConfigurationError(
                "it fits regions only, so there are no maps of it.",
                where=f"model {self.settings.model}",
                hint="Switch `maps` off, or choose another model.",
            )
        if self.prepared.unsettled:
            raise ConfigurationError(
                f"{' and '.join(self.prepared.unsettled)} must be known before voxels are fitted.",
                where=f"model {self.settings.model}",
                hint="Give numbers, or let `prepare` find them; with delay: image it finds one delay for all voxels.",
            )

    @property
    def context(self) -> FitContext:
        """What the voxels share, with the input function as it arrives at the tissue."""
        return self.prepared.context

    @property
    def settings(self) -> FitSettings:
        """Model and options, with nothing left to be found."""
        return self.prepared.settings

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def variables(self) -> Mapping[str, dict[str, Any]]:
        """Attributes of every variable that `fit` returns, in order; see `leading_dims` for its dimensions."""
        of_input = {} if self.input_factors is None else input_variables(self.settings, self.input_factors)
        return fit_variables(self.settings) | of_input

    @property
    def factors(self) -> int:
        """Number of common factors of the input function; zero where its uncertainty is not known."""
        return 0 if self.input_factors is None else len(self.input_factors)

    @cached_property
    def input_factors(self) -> InputFactors | None:
        """The common factors of the input function."""
        return input_factors(self.context)

    @cached_property
    def propagation(self) -> Propagation | None:
        """The model's fit of many curves together with their loadings."""
        if self.input_factors is None:
            return None
        return propagation(self.context, self.settings, self.input_factors)

    @cached_property
    def estimator(self) -> Estimator:
        """The model's fit of many curves."""
        return self.settings.estimator(self.context)

    def fit(self, activity: ArrayLike) -> dict[str, NDArray[Any]]:
        """Fit a block of voxels.

        Parameters
        ----------
        activity
            Decay-corrected, shape (frames, voxels) [Bq/mL].

        Returns
        -------
        Arrays of shape (voxels,) for each of `variables`, (factors, voxels) for those with a leading ``factor``:
        float64, and uint8 for ``status``.

        Raises
        ------
        InputError
            If the values are not numbers, or of another shape.
        """
        activity = self._checked(activity)
        count, sizes = activity.shape[1], {"factor": self.factors}
        found: dict[str, NDArray[Any]] = {
            name: np.empty((*(sizes[dim] for dim in leading_dims(name)), count)) for name in self.variables
        }
        found["status"] = np.empty(count, np.uint8)
        for first in range(0, count, self.chunk):
            part = slice(first, first + self.chunk)
            self._fit_chunk(activity[:, part], {name: values[..., part] for name, values in found.items()})
        return found

    def _checked(self, activity: ArrayLike) -> NDArray[Any]:
        given = np.asarray(activity)
        given = given if given.dtype.kind == "f" else as_numbers(given, "voxels")
        frames = len(self.context.timing)
        if given.ndim != 2 or len(given) != frames:
            raise InputError(
                f"expected an array of shape ({frames} frames, voxels), got shape {given.shape}.",
                where="voxels",
                hint="Put the frames first, and flatten an image: activity.reshape(frames, -1).",
            )
        return given

    def _fit_chunk(self, activity: NDArray[Any], found: dict[str, NDArray[Any]]) -> None:
        """Fit the voxels that can be fitted; `found` is filled in place."""
        unfit, status = _unfit(activity)
        some: Any = slice(None)
        if len(unfit):
            some = np.delete(np.arange(activity.shape[1]), unfit)
            for values in found.values():
                values[..., unfit] = status if values is found["status"] else np.nan
        if len(unfit) < activity.shape[1]:
            for name, values in self._named(activity[:, some]).items():
                found[name][..., some] = values

    def _named(self, activity: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """All variables of curves that can be fitted."""
        if self.propagation is None:
            found = named(self.settings, self.estimator.fit(activity))
        else:
            estimates, loadings = self.propagation.fit(activity)
            found = named(self.settings, estimates) | propagated(self.settings, estimates.errors, loadings)
        return found | {"status": marked(found["status"], found, self.prepared.limits)}


def _unfit(activity: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Curves that can't be fitted and their `FitStatus`: not finite, or zero throughout."""
    # one matrix product tells nearly all curves as sound, several times faster than a look at every value
    total = np.ones(len(activity), activity.dtype) @ activity
    doubtful = np.flatnonzero(~np.isfinite(total) | (total == 0))
    curves = activity[:, doubtful]
    finite = np.isfinite(curves).all(axis=0)
    unsound = ~(finite & curves.any(axis=0))
    status = np.where(finite, FitStatus.MASKED, FitStatus.NOT_FINITE).astype(np.uint8)
    return doubtful[unsound], status[unsound]
