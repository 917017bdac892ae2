"""What is settled on the curve of the pilot region before regions and voxels are fitted.

The delay of the whole image, other numbers of the input function, t*, k2′ and the range of the nonlinear parameters
are fitted there once and then fixed, so that regions and voxels are fitted alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from dlif_core.curve import InputFunction
from dlif_core.errors import InputError
from dlif_core.kinetics.context import Array, FitContext, require_kind, require_reach
from dlif_core.kinetics.model import RATE_BOUNDS
from dlif_core.kinetics.plausible import limits_of
from dlif_core.kinetics.settings import Delay, FitSettings
from dlif_core.kinetics.weights import frame_weights, pilot_curve, region_curve
from dlif_core.scan import DynamicScan

#: Rates of voxels may differ from those of the pilot region by this factor.
_RATE_FACTOR = 3.0


@dataclass(frozen=True, eq=False)
class Preparation:
    """All that fits of one scan share.

    Attributes
    ----------
    context
        What the curves share, with the input function as it arrives at the tissue.
    settings
        The settings with numbers in place of everything that was to be found.
    asked
        The settings as they were given.
    found
        What was fitted to the pilot region, by the name of its setting: ``delay`` [s], ``t_star`` [min],
        ``k2_prime`` [min⁻¹], ``rates`` [min⁻¹]; numbers of the input function of a model's own by theirs.
    limits
        Largest plausible size of parameters by name, see `dlif_core.kinetics.plausible`.
    """

    context: FitContext
    settings: FitSettings
    asked: FitSettings
    found: Mapping[str, float | tuple[float, float]] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)

    @property
    def unsettled(self) -> tuple[str, ...]:
        """Settings and input parameters that voxels need and that have not been found."""
        inputs = () if self.settings.delay == "none" else self.settings.kinetic_model.all_input_parameters[:1]
        own = self.settings.kinetic_model.input_parameters
        missing = tuple(parameter.name for parameter in (*inputs, *own) if parameter.name not in self.found)
        return self.settings.to_be_found + missing

    @property
    def delay(self) -> float:
        """Delay of the whole image that is in the context's input function [s]."""
        delay = self.found.get("delay", 0.0)
        return 0.0 if isinstance(delay, tuple) else delay


def prepare(
    scan: DynamicScan, curve: InputFunction | None, settings: FitSettings, *, regional: bool = False
) -> Preparation:
    """Settle everything that regions and voxels of a scan have in common.

    Parameters
    ----------
    scan
        The scan, with decay-corrected region curves; its image is not read.
    curve
        The input function as measured at its site; None for models that need none.
    settings
        Model and options.
    regional
        True where fits of regions follow, each of which finds the model's own input parameters itself unless the
        delay is that of the image.

    Raises
    ------
    InputError
        If the reference or the pilot region is not there, or there is no input function for a model that needs one.
    CurveError
        If the input function starts after the scan or ends before it.
    FrameTimingError
        If the settings can't be used with this frame schedule.
    ConfigurationError
        If an argument is of another kind.
    """
    require_kind(scan, DynamicScan, "scan")
    require_kind(settings, FitSettings, "settings")
    model = settings.kinetic_model
    if model.needs_input:
        if curve is None:
            raise InputError("there is no input function.", where=f"model {settings.model}")
        require_reach(curve, scan.timing)
    context = FitContext(
        scan.timing,
        frame_weights(scan, settings),
        curve if model.needs_input else None,
        region_curve(scan.regions, settings.reference) if settings.reference is not None else None,
        scan.acquisition.suv_factor,
        scan.acquisition.refused,
    )
    start = Preparation(context, settings, settings, limits=limits_of(scan.acquisition))
    return _settle(start, pilot_curve(scan.regions, settings), regional=regional)


def _settle(start: Preparation, curve: Array, *, regional: bool) -> Preparation:
    """Find one number after the other, each with those before it fixed."""
    context, settings, found = start.context, start.settings, dict(start.found)
    if settings.delay == "image" or (settings.kinetic_model.input_parameters and not regional):
        inputs = pilot_inputs(context, settings, curve)
        found |= inputs
        assert context.input_function is not None
        moved = settings.kinetic_model.tissue_input(context.input_function, inputs)
        context = replace(context, input_function=moved)
    if settings.k2_prime == "find":
        from dlif_core.kinetics.linear.multilinear import fit_k2_prime

        found["k2_prime"] = k2_prime = fit_k2_prime(context, curve)
        settings = replace(settings, k2_prime=k2_prime)
    if settings.t_star == "find":
        from dlif_core.kinetics.linear.graphical import find_t_star

        found["t_star"] = t_star = find_t_star(context, settings, curve)
        settings = replace(settings, t_star=t_star)
    if settings.rates == "find":
        found["rates"] = rates = _rates_around(context, settings, curve)
        settings = replace(settings, rates=rates)
    return replace(start, context=context, settings=settings, found=found)


def _rates_around(context: FitContext, settings: FitSettings, curve: Array) -> tuple[float, float]:
    from dlif_core.kinetics.compartment.estimator import SolverEstimator

    estimator = replace(settings, rates=None).estimator(context)
    assert isinstance(estimator, SolverEstimator), "only models with exponentials can be asked to find their rates"
    rates = estimator.rates(curve)
    if not len(rates):
        return RATE_BOUNDS
    low, high = np.clip([rates.min() / _RATE_FACTOR, rates.max() * _RATE_FACTOR], *RATE_BOUNDS)
    return float(low), float(high)


def pilot_inputs(context: FitContext, settings: FitSettings, curve: Array) -> dict[str, float]:
    """Numbers of the input function fitted to the curve of the pilot region, by name.

    They are the delay [s] where the settings ask for that of the image, and the model's own. For a graphical model the
    compartment model that belongs to it is fitted (`Model.delay_model`). What the curve does not determine gets its
    neutral value.

    Parameters
    ----------
    context
        What the curves share, with the input function as measured at its site.
    settings
        Model and options.
    curve
        Shape (frames,) [Bq/mL].
    """
    from dlif_core.kinetics.compartment.regions import CompartmentRegions

    delay: Delay = "region" if settings.delay == "image" else "none"
    of_region = FitSettings(settings.kinetic_model.delay_model, settings.blood_volume, delay=delay)
    fit = next(CompartmentRegions(context, of_region).fit(curve[None])) if curve.any() else None
    found = {} if fit is None else {name: value for name, (value, _) in fit.inputs.items() if not math.isnan(value)}
    return {parameter.name: found.get(parameter.name, parameter.neutral) for parameter in of_region.fitted_inputs}
