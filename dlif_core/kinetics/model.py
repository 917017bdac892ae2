"""What a kinetic model states about itself, and the registry of all models.

Fits, command line, reports and documentation read the models here. The built-in ones are in
`dlif_core.kinetics.models`, which enters them whenever a module of this package is imported. Nothing here needs torch,
so that the registry is light. Nomenclature of Innis et al., J Cereb Blood Flow Metab 2007;27:1533.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dlif_core.curve import InputFunction
from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.input_model import DELAY, InputParameter, InputTransform
from dlif_core.registry import Registry

#: Bounds of every exponential rate θ of a compartment model [min⁻¹]; they also bound k2, k3 and k4 from above.
RATE_BOUNDS = (1e-4, 10.0)

CLEARANCE, RATE, VOLUME, FRACTION, TIME = "mL cm-3 min-1", "min-1", "mL cm-3", "1", "min"

#: Makes what fits a model, from the context and the `FitSettings`, a type that is built on models.
Engine = Callable[[FitContext, Any], Estimator]

#: Settings that some models take and others don't.
Option = Literal["blood_volume", "delay", "t_star", "k2_prime", "window", "rates"]


@dataclass(frozen=True)
class Parameter:
    """One quantity that a model estimates.

    Attributes
    ----------
    name, units, long_name
        Name, units and description in data sets.
    lower, upper
        Bounds that hold in every fit.
    derived
        True where it is computed from the fitted parameters (its standard error by the delta method).
    """

    name: str
    units: str
    long_name: str
    lower: float = 0.0
    upper: float = math.inf
    derived: bool = False


def _unchanged(curve: InputFunction) -> InputFunction:
    return curve


@dataclass(frozen=True, kw_only=True)
class Model:
    """A kinetic model.

    Attributes
    ----------
    name, title
        Key in `MODELS` and name for people.
    parameters
        What it estimates, in order.
    engine
        Makes what fits it to many curves of one scan, from `FitContext` and `FitSettings`. It imports what it needs
        when it is called, because fits need torch or lmfit and the registry should not.
    options
        Settings that it takes.
    needed_options
        Settings that must be given.
    needs_input, needs_reference
        Whether it needs an arterial input function, and the curve of a reference region.
    fitted_numbers
        Numbers that are fitted to a curve, for information criteria; NaN where the residuals are not those of the
        curve, so that there are no such criteria. A vB that the settings fix does not count.
    rss_units
        Units of the residual sum of squares.
    delay_model
        The compartment model by which the delay of the whole image is fitted.
    exponentials
        Number of exponentials whose rates θ are fitted: the nonlinear dimensions of the model.
    voxelwise
        Whether it can be fitted to voxels; else to regions only.
    input_parameters
        Numbers of its own that change the input function; fitted for every region, and for voxels once to the pilot
        region. They are not among `parameters` and do not count in `fitted_numbers`.
    input_transform
        Gives the tissue's input function for the measured one and the values of `input_parameters`, in order.
    """

    name: str
    title: str
    parameters: tuple[Parameter, ...]
    engine: Engine
    options: frozenset[Option] = frozenset()
    needed_options: frozenset[Option] = frozenset()
    needs_input: bool = True
    needs_reference: bool = False
    fitted_numbers: float = math.nan
    rss_units: str = "Bq2 mL-2"
    delay_model: str = ""
    exponentials: int = 0
    voxelwise: bool = True
    input_parameters: tuple[InputParameter, ...] = ()
    input_transform: InputTransform = _unchanged

    @property
    def all_input_parameters(self) -> tuple[InputParameter, ...]:
        """All input parameters that results of the model list: the delay first, then its own."""
        return (DELAY, *self.input_parameters)

    def tissue_input(self, measured: InputFunction, numbers: Mapping[str, float]) -> InputFunction:
        """The input function as it arrives at the tissue.

        Parameters
        ----------
        measured
            The curve at its site of measurement.
        numbers
            Values of input parameters by name; a parameter that is not among them has no effect.
        """
        own = self.input_parameters
        if any(parameter.name in numbers for parameter in own):
            measured = self.input_transform(measured, *(numbers.get(p.name, p.neutral) for p in own))
        return measured.shifted(numbers[DELAY.name]) if numbers.get(DELAY.name) else measured

    @property
    def has_compartments(self) -> bool:
        """Whether a delay can be fitted along with it."""
        return isinstance(self, CompartmentModel)


@dataclass(frozen=True, kw_only=True)
class CompartmentModel(Model):
    """A sum of columns with coefficients ≥ 0 in the space of curves, at most two of them exponentials.

    Measured is C_PET = (1 − vB) C_T + vB C_WB with 0 ≤ vB ≤ 1. Non-negative coefficients are exactly equivalent to
    non-negative K1, k2, k3, k4; every rate θ lies in `RATE_BOUNDS`.

    Attributes
    ----------
    exponentials
        Number of exponentials e^(−θt) ⊗ C_p in (1 − vB) C_T.
    integral
        Whether it also has ∫C_p (tracer trapped for good).
    microparameters
        Gives what the curve determines of K1, k2 … by name, for curves of a voxel times (1 − vB), from rates θ,
        coefficients of the exponentials and of ∫C_p (None where it is zero) and a tensor of the wanted shape.
    """

    exponentials: int
    integral: bool = False
    microparameters: Callable[[list[Any], list[Any], Any, Any], dict[str, Any]]


#: Every kinetic model by name.
MODELS: Registry[Model] = Registry("kinetic model", "dlif.models", ())

K1 = Parameter("K1", CLEARANCE, "K1, rate constant from plasma to tissue")
K2 = Parameter("k2", RATE, "k2, rate constant from tissue to plasma", upper=RATE_BOUNDS[1])
K3 = Parameter("k3", RATE, "k3, rate constant into the second tissue compartment", upper=RATE_BOUNDS[1])
K4 = Parameter("k4", RATE, "k4, rate constant out of the second tissue compartment", upper=RATE_BOUNDS[1])
VB = Parameter("vB", FRACTION, "vB, fractional blood volume", upper=1.0)
KI = Parameter("Ki", CLEARANCE, "Ki, net influx rate", derived=True)
VT = Parameter("VT", VOLUME, "VT, total distribution volume", derived=True)
BPND = Parameter("BPND", FRACTION, "BPND, non-displaceable binding potential k3/k4", derived=True)
