"""Small fits and scans in the kinetics room's format, for the tests of statistics and report."""

import json
from typing import Any

import numpy as np
import xarray as xr

from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import FitSettings, FitStatus
from dlif_core.scan import Acquisition, RegionCurves

TIMING = FrameTiming(
    np.concatenate([np.arange(0, 60, 10), np.arange(60, 300, 30), np.arange(300, 2700, 300)]),
    np.concatenate([np.full(6, 10), np.full(8, 30), np.full(8, 300)]),
)
ACQUISITION = Acquisition("[18F]FDG", 6586.2, 9.3e6, 0.0231, species="mouse")
UNITS = {"K1": "mL cm-3 min-1", "k2": "min-1", "k3": "min-1", "vB": "1", "Ki": "mL cm-3 min-1"}
NAMES = {"K1": "K1, rate constant from plasma to tissue", "Ki": "Ki, net influx rate", "vB": "vB, blood volume"}


def input_function(method: str = "arterial", scale: float = 1.0, end: float = 2700.0) -> InputFunction:
    time = np.unique(np.concatenate([np.arange(0, 180, 2.0), np.arange(180, end, 30.0), [end]]))
    minutes = np.clip(time / 60 - 0.5, 0, None)
    shape = 60 * minutes * np.exp(-4 * minutes) + 1.5 * (minutes > 0) * (
        np.exp(-0.2 * minutes) + np.exp(-0.02 * minutes)
    )
    blood = scale * 4e5 * shape
    warnings = ("the last sample was extrapolated.",) if method == "arterial" else ()
    band = {} if method == "arterial" else {"lower": 0.85 * blood, "upper": 1.2 * blood}
    return InputFunction(time, blood, 1.1 * blood, method, warnings=warnings, **band)


def fit_attributes(settings: FitSettings) -> dict[str, str]:
    return {"model": settings.model, "settings": json.dumps(settings.as_record()), "input_function": "arterial"}


def region_fit(
    values: dict[str, dict[str, float]], se: float = 0.05, status: dict[str, FitStatus] | None = None
) -> xr.Dataset:
    """A fit dataset: region → parameter → value; every SE is `se` times the value."""
    regions = list(values)
    parameters = list(next(iter(values.values())))
    codes = [(status or {}).get(region, FitStatus.CONVERGED) for region in regions]
    variables: dict[str, tuple[Any, ...]] = {}
    for name in parameters:
        column = np.array([values[region][name] for region in regions])
        label = {"units": UNITS.get(name, "1"), "long_name": NAMES.get(name, name)}
        variables[name] = ("region", column, label)
        variables[f"{name}_se"] = ("region", se * np.abs(column), label | {"long_name": f"standard error of {name}"})
    rng = np.random.default_rng(0)
    fitted = 1e5 * (1 - np.exp(-TIMING.mid / 600)) * np.linspace(0.5, 2, len(regions))[:, None]
    noise = rng.normal(1, 0.03, fitted.shape)
    frame = ("region", "frame")
    variables |= {
        "measured": (frame, fitted * noise, {"units": "Bq/mL", "long_name": "measured activity"}),
        "fitted": (frame, fitted, {"units": "Bq/mL", "long_name": "fitted activity"}),
        "aic": ("region", np.linspace(100, 120, len(regions)), {"units": "1", "long_name": "AIC"}),
        "delay": ("region", np.zeros(len(regions)), {"units": "s", "long_name": "delay"}),
        "status": ("region", np.array(codes, np.uint8), status_attributes()),
    }
    coordinates = {
        "region": regions,
        "frame_start": ("frame", TIMING.start),
        "frame_duration": ("frame", TIMING.duration),
    }
    attributes = fit_attributes(FitSettings("2tcm-irreversible"))
    return xr.Dataset(variables, coordinates, attributes)


def status_attributes() -> dict[str, object]:
    return {
        "units": "1",
        "long_name": "status of the fit",
        "flag_values": np.array([code.value for code in FitStatus], np.uint8),
        "flag_meanings": " ".join(code.name.lower() for code in FitStatus),
    }


def region_curves(fit: xr.Dataset) -> RegionCurves:
    names = tuple(fit["region"].to_numpy().tolist())
    return RegionCurves(names, fit["measured"].to_numpy(), np.arange(10.0, 10.0 * len(names) + 1, 10.0))


def maps(shape: tuple[int, int, int] = (12, 16, 20)) -> xr.Dataset:
    rng = np.random.default_rng(1)
    dims = ("z", "y", "x")
    values = rng.gamma(2, 0.02, shape).astype(np.float32)
    status = np.zeros(shape, np.uint8)
    status[:3] = FitStatus.MASKED
    values[:3] = np.nan
    label = {"units": "mL cm-3 min-1", "long_name": "Ki, net influx rate"}
    return xr.Dataset(
        {
            "Ki": (dims, values, label),
            "Ki_se": (dims, 0.1 * values, label | {"long_name": "standard error of Ki"}),
            "status": (dims, status, status_attributes()),
        },
        attrs=fit_attributes(FitSettings("patlak", t_star=10.0)),
    )
