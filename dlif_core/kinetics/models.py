"""The registry of kinetic models and what each of them estimates.

Nomenclature of Innis et al., J Cereb Blood Flow Metab 2007;27:1533. Measured is
C_PET = (1 − vB) C_T + vB C_WB; every compartment model is a sum of columns with coefficients ≥ 0:

===================  =======================================================  =============================
model                (1 − vB) C_T                                             feasible set
===================  =======================================================  =============================
1tcm                 a e^(−θt) ⊗ C_p                                          a ≥ 0
2tcm-irreversible    a₀ ∫C_p + a₁ e^(−θt) ⊗ C_p                               a₀, a₁ ≥ 0; θ = k2 + k3
2tcm-reversible      a₁ e^(−θ₁t) ⊗ C_p + a₂ e^(−θ₂t) ⊗ C_p                    a₁, a₂ ≥ 0, θ₁ < θ₂
===================  =======================================================  =============================

with every θ in `RATE_BOUNDS` and 0 ≤ vB ≤ 1. Non-negative coefficients are exactly equivalent to non-negative
K1, k2, k3, k4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Bounds of every exponential rate θ of a compartment model [min⁻¹]; they also bound k2, k3 and k4 from above.
RATE_BOUNDS = (1e-4, 10.0)

_CLEARANCE, _RATE, _VOLUME, _FRACTION, _TIME = "mL cm-3 min-1", "min-1", "mL cm-3", "1", "min"


@dataclass(frozen=True)
class Parameter:
    """One quantity that a model estimates.

    Attributes
    ----------
    name, units, long_name
        As they stand in data sets.
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


@dataclass(frozen=True)
class Model:
    """A kinetic model.

    Attributes
    ----------
    name, title
        Key in `MODELS` and name for people.
    parameters
        What it estimates, in order.
    exponentials
        Number of exponentials in its impulse response; 0 for graphical models.
    integral
        Whether its impulse response has a constant (tracer trapped for good).
    delay_model
        The compartment model by which the delay of the whole image is fitted.
    """

    name: str
    title: str
    parameters: tuple[Parameter, ...]
    exponentials: int = 0
    integral: bool = False
    delay_model: str = ""

    @property
    def graphical(self) -> bool:
        """Whether it is a linear regression after t*, which must then be given."""
        return self.exponentials == 0


_K1 = Parameter("K1", _CLEARANCE, "K1, rate constant from plasma to tissue")
_K2 = Parameter("k2", _RATE, "k2, rate constant from tissue to plasma", upper=RATE_BOUNDS[1])
_K3 = Parameter("k3", _RATE, "k3, rate constant into the second tissue compartment", upper=RATE_BOUNDS[1])
_K4 = Parameter("k4", _RATE, "k4, rate constant out of the second tissue compartment", upper=RATE_BOUNDS[1])
_VB = Parameter("vB", _FRACTION, "vB, fractional blood volume", upper=1.0)
_KI = Parameter("Ki", _CLEARANCE, "Ki, net influx rate", derived=True)
_VT = Parameter("VT", _VOLUME, "VT, total distribution volume", derived=True)
_BPND = Parameter("BPND", _FRACTION, "BPND, non-displaceable binding potential k3/k4", derived=True)

_ALL = (
    Model(
        "patlak",
        "Patlak plot",
        (
            Parameter("Ki", _CLEARANCE, "Ki, net influx rate", lower=-math.inf),
            Parameter("intercept", _VOLUME, "intercept of the Patlak plot", lower=-math.inf),
        ),
        delay_model="2tcm-irreversible",
    ),
    Model(
        "logan",
        "Logan plot",
        (
            Parameter("VT", _VOLUME, "VT, total distribution volume", lower=-math.inf),
            Parameter("intercept", _TIME, "intercept of the Logan plot", lower=-math.inf),
        ),
        delay_model="2tcm-reversible",
    ),
    Model("1tcm", "one-tissue compartment model", (_K1, _K2, _VB, _VT), 1, delay_model="1tcm"),
    Model(
        "2tcm-irreversible",
        "irreversible two-tissue compartment model",
        (_K1, _K2, _K3, _VB, _KI),
        1,
        integral=True,
        delay_model="2tcm-irreversible",
    ),
    Model(
        "2tcm-reversible",
        "reversible two-tissue compartment model",
        (_K1, _K2, _K3, _K4, _VB, _VT, _BPND),
        2,
        delay_model="2tcm-reversible",
    ),
)

#: Every kinetic model by name.
MODELS: dict[str, Model] = {model.name: model for model in _ALL}
