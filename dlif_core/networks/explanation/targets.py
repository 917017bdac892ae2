"""Metrics of a predicted curve that can be explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.blood_samples.plasma import assumed_ratio
from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming

if TYPE_CHECKING:
    from dlif_core.scan import DynamicScan

Array = NDArray[np.float64]

_SECONDS = 60.0
# the early part ends, the tail begins and Patlak's linear phase starts so long after the injection, or after the first
# frame if that is later [s]
_EARLY, _TAIL, _T_STAR = 180.0, 600.0, 600.0

#: Metrics that `make_target` knows, with their descriptions.
TARGETS = {
    "auc": "area under the curve",
    "early-auc": "area under the first 3 min",
    "peak": "highest frame",
    "tail": "mean after 10 min",
    "spread": "variance between the members, mean over time",
    "time:MINUTE": "the frame at this minute",
    "ki:REGION": "Patlak Ki of this region, its own curve as measured (t* = 10 min)",
}


@dataclass(frozen=True, eq=False)
class Target:
    """A metric of a curve.

    Attributes
    ----------
    name, title, unit
        Name, title and unit in tables.
    value
        Differentiable function from curves of shape (members, frames) [SUV] to the metric.
    of_ensemble
        Whether the metric has no meaning for a single member.
    first_order
        Whether the metric is explained to first order around the curve of the scan. This is for Ki, which would be
        infinite without activity: it falls in proportion as the curve rises, so the shares add up to −Ki.
    """

    name: str
    title: str
    unit: str
    value: Callable[[torch.Tensor], torch.Tensor]
    of_ensemble: bool = False
    first_order: bool = False

    def linearised(self, curve: torch.Tensor) -> Target:
        """The metric as it is explained for a curve of shape (frames,) [SUV]: to first order if it has to be."""
        if not self.first_order:
            return self
        with torch.enable_grad():
            here = curve.detach().clone().requires_grad_()
            (slope,) = torch.autograd.grad(self.value(here[None]), here)
        return replace(self, value=lambda curves: curves.mean(dim=0) @ slope.to(curves), first_order=False)


def make_target(name: str, scan: DynamicScan) -> Target:
    """A metric of a scan's curve by its name.

    Parameters
    ----------
    name
        One of `TARGETS`, for example ``auc``, ``time:1.5`` or ``ki:brain``.
    scan
        Scan with frames, tracer and region curves.

    Raises
    ------
    ConfigurationError
        If there is no such metric or region, or the scan does not last until that time.
    """
    kind, _, argument = name.partition(":")
    if kind == "ki":
        return _patlak(name, argument, scan)
    if kind == "time":
        return _time_point(name, argument, scan.timing)
    return curve_target(name, scan.timing)


def curve_target(name: str, timing: FrameTiming) -> Target:
    """A metric that needs the curve alone: ``auc``, ``early-auc``, ``peak``, ``tail`` or ``spread``."""
    since = timing.mid - timing.begin
    minutes = timing.duration / _SECONDS
    if name == "peak":
        return Target(name, TARGETS[name], "SUV", lambda curves: curves.mean(dim=0).max())
    if name == "spread":
        return Target(name, TARGETS[name], "SUV²", _spread(minutes / minutes.sum()), of_ensemble=True)
    weights = {
        "auc": minutes,
        "early-auc": minutes * (since < _EARLY),
        "tail": minutes * (since > _TAIL) / max(float(minutes[since > _TAIL].sum()), 1e-9),
    }
    if name not in weights:
        raise _unknown(name)
    return _weighted(name, TARGETS[name], "SUV" if name == "tail" else "SUV·min", weights[name])


def _unknown(name: str) -> ConfigurationError:
    return ConfigurationError(f"there is no metric {name!r} to explain.", hint=f"Use one of {', '.join(TARGETS)}.")


def _weighted(name: str, title: str, unit: str, weights: Array) -> Target:
    given = torch.from_numpy(np.asarray(weights, dtype=float))
    if not given.any():
        raise ConfigurationError(
            f"the scan has no frame for {name!r}.", hint="Explain another metric, for example auc."
        )
    return Target(name, title, unit, lambda curves: curves.mean(dim=0) @ given.to(curves))


def _spread(share: Array) -> Callable[[torch.Tensor], torch.Tensor]:
    given = torch.from_numpy(share)

    def value(curves: torch.Tensor) -> torch.Tensor:
        if len(curves) < 2:
            raise ConfigurationError("one network has no spread.", hint="Explain another metric, or use an ensemble.")
        return curves.var(dim=0) @ given.to(curves)

    return value


def _time_point(name: str, argument: str, timing: FrameTiming) -> Target:
    try:
        time = _SECONDS * float(argument)
    except ValueError:
        raise _unknown(name) from None
    inside = (timing.start <= time) & (time < timing.end)
    return _weighted(name, f"the frame at {argument} min", "SUV", inside.astype(float))


def _patlak(name: str, region: str, scan: DynamicScan) -> Target:
    """Slope of the Patlak plot by least squares; differentiable, which fits of a study need not be."""
    factor = scan.acquisition.suv_factor
    if region not in scan.regions.names or factor is None:
        raise ConfigurationError(
            f"the scan has no region {region!r}.", hint=f"Use one of {', '.join(scan.regions.names)}."
        )
    timing = scan.timing
    late = torch.from_numpy(timing.start - timing.begin >= _T_STAR)
    if late.sum() < 3:
        raise ConfigurationError("the scan ends too early for a Patlak plot.", hint="Explain another metric.")
    tissue = torch.from_numpy(factor * scan.regions.activity[scan.regions.names.index(region)])
    ratio = torch.from_numpy(assumed_ratio(timing.mid, scan.acquisition)[0])
    minutes = torch.from_numpy(timing.duration / _SECONDS)

    def value(curves: torch.Tensor) -> torch.Tensor:
        plasma = curves.double().mean(dim=0) * ratio
        areas = plasma * minutes
        across = (areas.cumsum(0) - 0.5 * areas)[late] / plasma[late]
        up = tissue[late] / plasma[late]
        centred = across - across.mean()
        return (centred @ up) / (centred @ centred)

    return Target(name, f"Patlak Ki of {region}", "mL·cm⁻³·min⁻¹", value, first_order=True)
