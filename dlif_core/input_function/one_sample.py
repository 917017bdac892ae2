"""One arterial sample near a time, by which some methods fix a scale or a tail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dlif_core.blood_samples.merge import merge
from dlif_core.blood_samples.plasma import assumed_ratio
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.blood_samples.series import Series
from dlif_core.errors import BloodError
from dlif_core.scan import Acquisition

#: What a sample was measured in.
Quantity = Literal["whole_blood", "plasma"]

# a sample may be this far from the asked time: 30 s, or 10 % of the time
_NEAR_SECONDS, _NEAR_SHARE = 30.0, 0.1
_OTHER: dict[Quantity, Quantity] = {"whole_blood": "plasma", "plasma": "whole_blood"}


@dataclass(frozen=True)
class OneSample:
    """One arterial sample.

    Attributes
    ----------
    time
        Time of the sample [s].
    value
        What was measured [Bq/mL].
    quantity
        Whether it was measured in whole blood or in plasma.
    ratio
        Plasma to whole blood at this time, as it is assumed for species and tracer; 1 for whole blood itself.
    source
        File that holds the sample.
    """

    time: float
    value: float
    quantity: Quantity
    ratio: float
    source: str

    @property
    def whole_blood(self) -> float:
        """Activity of whole blood [Bq/mL], from plasma by the ratio where that was measured."""
        return self.value / self.ratio

    @property
    def provenance(self) -> dict[str, Any]:
        """The sample as plain values, for the provenance of a curve."""
        measured = self.quantity.replace("_", " ")
        return {"measured": measured, "time [s]": self.time, "whole blood [Bq/mL]": self.whole_blood}


def sample_near(
    recordings: Sequence[BloodRecording],
    at: float,
    acquisition: Acquisition,
    option: str,
    *,
    prefer: Quantity = "whole_blood",
) -> OneSample:
    """The arterial sample nearest to a time.

    Parameters
    ----------
    recordings
        All recordings of the scan.
    at
        Time asked for [s].
    acquisition
        Species and tracer, which tell the plasma ratio.
    option
        Name of the option that asks for the sample, for messages.
    prefer
        Which quantity to take where both were measured.

    Raises
    ------
    MissingInputError
        If there is no arterial recording.
    BloodError
        If no sample with activity lies within 30 s, or 10 % of the time.
    """
    blood = merge(recordings)
    quantity: Quantity = prefer if getattr(blood, prefer) is not None else _OTHER[prefer]
    series: Series = getattr(blood, quantity)
    nearest = int(np.abs(series.time - at).argmin())
    time, value = float(series.time[nearest]), float(series.value[nearest])
    if abs(time - at) > max(_NEAR_SECONDS, _NEAR_SHARE * at) or value <= 0:
        raise BloodError(
            f"no arterial sample with activity lies near {at:g} s; the nearest is at {time:g} s.",
            where=blood.source,
            hint=f"Set {option} to the time of a sample after the peak.",
        )
    ratio = assumed_ratio(np.array([time]), acquisition)[0][0] if quantity == "plasma" else 1.0
    return OneSample(time, value, quantity, float(ratio), blood.source)
