"""The arterial input function as one validated object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.errors import CurveError
from dlif_core.finite import to_json
from dlif_core.frames import FrameTiming

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

_UNIT = "Bq/mL"


@dataclass(frozen=True, eq=False, repr=False)
class InputFunction:
    """Tracer concentration in arterial blood: a piecewise linear curve, zero before its first point.

    All curves are decay-corrected to the reference time of the scan they belong to.

    Attributes
    ----------
    time
        Shape (points,), strictly increasing [s from injection].
    whole_blood
        C_WB, shape (points,) [Bq/mL].
    plasma
        C_p, the metabolite-corrected (parent) plasma curve, shape (points,) [Bq/mL].
    method
        Name of the method that made it, as in the input-function registry.
    lower, upper
        Band around `whole_blood`, shape (points,), or None where the method has none.
    samples
        Whole-blood curves drawn from the method's uncertainty, shape (samples, points), or None.
    provenance
        How it was made: plain values that JSON can hold.
    warnings
        What had to be repaired or assumed, in words for the report.
    with_metabolites
        Whether `plasma` is total plasma of a tracer whose metabolites were not measured.

    Raises
    ------
    CurveError
        If shapes differ, time does not increase or a value is not a finite number.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> whole_blood, plasma = [0, 9e4, 4e4, 5e3], [0, 1e5, 4e4, 5e3]
    >>> curve = dlif.InputFunction([0, 20, 40, 3600], whole_blood, plasma, method="own")
    >>> curve
    <InputFunction by own: 4 points to 60 min, peak 9e+04 Bq/mL at 20 s>
    >>> curve.shifted(10).time.tolist()
    [10.0, 30.0, 50.0, 3610.0]
    """

    time: Array
    whole_blood: Array
    plasma: Array
    method: str
    lower: Array | None = None
    upper: Array | None = None
    samples: Array | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    with_metabolites: bool = False

    def __post_init__(self) -> None:
        for name in ("time", "whole_blood", "plasma", "lower", "upper", "samples"):
            value = getattr(self, name)
            if value is not None or name in ("time", "whole_blood", "plasma"):
                object.__setattr__(self, name, self._checked(name, value))
        if len(self.time) < 2 or (np.diff(self.time) <= 0).any():
            raise CurveError(
                "the times of an input function must be at least two and strictly increasing.",
                where=self.method,
                hint="Sort the samples by time and average those at the same time.",
            )

    def _checked(self, name: str, value: ArrayLike) -> Array:
        try:
            array, points = np.array(value, dtype=float), np.size(self.time)
        except (TypeError, ValueError):
            raise CurveError(f"{name} does not hold numbers.", where=self.method, hint="Give an array.") from None
        if array.ndim != (2 if name == "samples" else 1) or array.shape[-1] != points:
            raise CurveError(
                f"{name} has shape {array.shape}, the curve {points} points.",
                where=self.method,
                hint="Give one value for each time.",
            )
        if not np.isfinite(array).all():
            raise CurveError(
                f"{name} holds values that are not finite.", where=self.method, hint="Leave lost samples out."
            )
        array.setflags(write=False)
        return array

    def __repr__(self) -> str:
        highest = int(np.argmax(self.whole_blood))
        return (
            f"<InputFunction by {self.method}: {len(self.time)} points to {self.time[-1] / 60:.4g} min, "
            f"peak {self.whole_blood[highest]:.3g} Bq/mL at {self.time[highest]:.4g} s>"
        )

    def shifted(self, delay: float) -> InputFunction:
        """The same curve arriving `delay` seconds later; earlier where the delay is negative."""
        return replace(self, time=self.time + delay)

    def frame_average(self, timing: FrameTiming) -> tuple[Array, Array]:
        """Exact frame averages of whole blood and parent plasma, each of shape (frames,) [Bq/mL]."""
        whole_blood, plasma = timing.average(self.time, np.stack([self.whole_blood, self.plasma]))
        return whole_blood, plasma

    def to_dataset(self) -> xr.Dataset:
        """The curve as a dataset with dimension ``time`` (and ``sample``)."""
        import xarray as xr

        curves: dict[str, Any] = {
            "whole_blood": ("time", self.whole_blood, {"long_name": "whole blood", "units": _UNIT}),
            "plasma": ("time", self.plasma, {"long_name": "parent plasma", "units": _UNIT}),
        }
        for name in ("lower", "upper"):
            if getattr(self, name) is not None:
                curves[name] = (
                    "time",
                    getattr(self, name),
                    {"long_name": f"{name} band of whole blood", "units": _UNIT},
                )
        if self.samples is not None:
            curves["samples"] = (("sample", "time"), self.samples, {"long_name": "whole blood samples", "units": _UNIT})
        time = ("time", self.time, {"long_name": "time from injection", "units": "s"})
        attributes = {
            "method": self.method,
            "provenance": to_json(dict(self.provenance), where=f"input function {self.method}", sort_keys=True),
            "warnings": list(self.warnings),
            "with_metabolites": self.with_metabolites,
        }
        return xr.Dataset(curves, coords={"time": time}, attrs=attributes)

    @classmethod
    def from_dataset(cls, dataset: xr.Dataset) -> InputFunction:
        """The curve that `to_dataset` wrote."""

        def optional(name: str) -> Array | None:
            return dataset[name].to_numpy() if name in dataset else None

        return cls(
            time=dataset["time"].to_numpy(),
            whole_blood=dataset["whole_blood"].to_numpy(),
            plasma=dataset["plasma"].to_numpy(),
            method=dataset.attrs["method"],
            lower=optional("lower"),
            upper=optional("upper"),
            samples=optional("samples"),
            provenance=json.loads(dataset.attrs["provenance"]),
            warnings=tuple(dataset.attrs["warnings"]),
            with_metabolites=bool(dataset.attrs.get("with_metabolites", False)),
        )
