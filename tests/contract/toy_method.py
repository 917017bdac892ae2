"""An input-function method as small as a method can be: what another package would register."""

from collections.abc import Mapping, Sequence

import numpy as np

from dlif_core.blood_samples import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.input_function import Method, Options
from dlif_core.scan import DynamicScan

#: What decides the curve beside scan and options, as the digest of a model would.
FACTS = {"version of the ramp": "1"}


class RampOptions(Options):
    """`slope` is that of plasma over time [Bq/mL/s]."""

    slope: float = 1.0


def estimate(scan: DynamicScan, recordings: Sequence[BloodRecording], options: RampOptions) -> InputFunction:
    """A curve that rises in proportion to time."""
    time = np.array([0.0, scan.timing.end[-1]])
    return InputFunction(time, options.slope * time, options.slope * time, method="ramp")


def facts(_options: RampOptions) -> Mapping[str, str]:
    return FACTS


METHOD = Method("ramp", "Ramp", RampOptions, estimate, facts)
