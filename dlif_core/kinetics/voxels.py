"""Voxelwise fits of any model, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.design import FrameColumns
from dlif_core.kinetics.faces import faces_of
from dlif_core.kinetics.graphical import GraphicalFit
from dlif_core.kinetics.settings import FitSettings, FitStatus
from dlif_core.kinetics.solver import CompartmentSolver

Array = NDArray[np.float64]

_RSS_UNITS = {"patlak": "mL2 cm-6", "logan": "min2"}


def fit_variables(settings: FitSettings) -> dict[str, dict[str, Any]]:
    """Attributes of the variables of a fit, in order: parameters, their standard errors, status, rss."""
    parameters = settings.kinetic_model.parameters
    variables: dict[str, dict[str, Any]] = {p.name: {"units": p.units, "long_name": p.long_name} for p in parameters}
    for p in parameters:
        variables[f"{p.name}_se"] = {"units": p.units, "long_name": f"standard error of {p.name}"}
    variables["status"] = {
        "units": "1",
        "long_name": "status of the fit",
        "flag_values": [int(code) for code in FitStatus],
        "flag_meanings": " ".join(code.name.lower() for code in FitStatus),
    }
    units = _RSS_UNITS.get(settings.model, "Bq2 mL-2")
    variables["rss"] = {"units": units, "long_name": "weighted residual sum of squares"}
    return variables


@dataclass(frozen=True, eq=False)
class VoxelFit:
    """Fits every voxel of a block. Small when pickled: what is computed beforehand is computed again where it is used.

    Attributes
    ----------
    timing
        Frames.
    input_function
        Already delayed as the tissue is.
    settings
        Model and options; `delay` has no effect here.
    weights
        From `frame_weights`, shape (frames,).
    device
        Torch device of compartment fits. Computation is in float64 everywhere.
    chunk
        Voxels that are fitted at once; it bounds memory (at most about 5 kB a voxel) and does not change the results.

    Raises
    ------
    ConfigurationError
        If there are not more frames than free numbers; in `fit`, if too few frames are left after t*.
    """

    timing: FrameTiming
    input_function: InputFunction
    settings: FitSettings
    weights: Array
    device: str = "cpu"
    chunk: int = 32768

    def __post_init__(self) -> None:
        frames = len(self.timing)
        if np.shape(self.weights) != (frames,):
            raise InputError(f"{np.size(self.weights)} weights stand beside {frames} frames.", where="frame weights")
        if self.settings.kinetic_model.graphical:
            return
        needed = faces_of(self.settings.kinetic_model, self.settings.blood_volume)[-1].size + 1
        if frames < needed:
            raise ConfigurationError(
                f"{frames} frames can't determine {needed - 1} free numbers.",
                where=f"model {self.settings.model}",
                hint=f"Use a simpler model or at least {needed} frames.",
            )

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def variables(self) -> Mapping[str, dict[str, Any]]:
        """Attributes of every variable that `fit` returns, in order."""
        return fit_variables(self.settings)

    @cached_property
    def graphical(self) -> GraphicalFit:
        """The regression of a graphical model."""
        return GraphicalFit(self.timing, self.input_function, self.settings, self.weights)

    @cached_property
    def solver(self) -> CompartmentSolver:
        """The solver of a compartment model."""
        columns = FrameColumns(self.timing, self.input_function)
        settings = self.settings
        return CompartmentSolver(columns, settings.kinetic_model, self.weights, settings.blood_volume, self.device)

    def fit(self, activity: ArrayLike) -> dict[str, NDArray[Any]]:
        """Fit a block of voxels.

        Parameters
        ----------
        activity
            Decay-corrected, shape (frames, voxels) [Bq/mL].

        Returns
        -------
        Arrays of shape (voxels,) for each of `variables`: float64, and uint8 for ``status``.
        """
        activity = np.asarray(activity)
        count = activity.shape[1]
        found: dict[str, NDArray[Any]] = {name: np.full(count, np.nan) for name in self.variables}
        found["status"] = np.empty(count, np.uint8)
        for first in range(0, count, self.chunk):
            part = slice(first, first + self.chunk)
            self._fit_chunk(activity[:, part], {name: values[part] for name, values in found.items()})
        return found

    def _fit_chunk(self, activity: NDArray[Any], found: dict[str, NDArray[Any]]) -> None:
        """Fit the voxels that can be fitted; `found` is filled in place."""
        size = np.abs(activity).sum(axis=0, dtype=np.float64)
        finite, present = np.isfinite(size), size != 0
        found["status"][:] = np.where(finite, FitStatus.MASKED, FitStatus.NOT_FINITE)
        sound = finite & present
        if not sound.any():
            return
        some = slice(None) if sound.all() else np.flatnonzero(sound)
        for name, values in self._fit_sound(activity[:, some]).items():
            found[name][some] = values

    def _fit_sound(self, activity: NDArray[Any]) -> dict[str, Any]:
        names = list(self.variables)
        if self.settings.kinetic_model.graphical:
            line = self.graphical.fit(activity.astype(np.float64))
            arrays = [line.slope, line.intercept, line.slope_error, line.intercept_error, line.status, line.rss]
            return dict(zip(names, arrays, strict=True))
        estimates = self.solver.fit(activity)
        tensors = [*estimates.values, *estimates.errors, estimates.status, estimates.rss]
        return {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}
