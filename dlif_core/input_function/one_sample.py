"""One arterial sample near a time, as whole blood: what some methods take to fix a scale or a tail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlif_core.blood_samples.merge import merge
from dlif_core.blood_samples.plasma import assumed_ratio
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.errors import BloodError
from dlif_core.scan import Acquisition

# a sample may be this far from the asked time: 30 s, or 10 % of the time
_NEAR_SECONDS, _NEAR_SHARE = 30.0, 0.1


@dataclass(frozen=True)
class OneSample:
    """One arterial sample.

    Attributes
    ----------
    time
        [s].
    whole_blood
        [Bq/mL]; from plasma by the ratio assumed for the species where whole blood was not measured.
    quantity
        What was measured.
    """

    time: float
    whole_blood: float
    quantity: str

    @property
    def provenance(self) -> dict[str, Any]:
        """Plain values."""
        return {"measured": self.quantity, "time [s]": self.time, "whole blood [Bq/mL]": self.whole_blood}


def sample_near(recordings: Sequence[BloodRecording], at: float, acquisition: Acquisition, option: str) -> OneSample:
    """The arterial sample nearest to a time.

    Parameters
    ----------
    recordings
        All recordings of the scan.
    at
        Time asked for [s].
    acquisition
        Tells the plasma ratio.
    option
        Name of the option that asked, for messages.

    Raises
    ------
    MissingInputError
        If there is no arterial recording.
    BloodError
        If no sample with activity lies within 30 s, or 10 % of the time.
    """
    blood = merge(recordings)
    quantity = "plasma" if blood.whole_blood is None else "whole blood"
    series = blood.plasma if blood.whole_blood is None else blood.whole_blood
    assert series is not None
    nearest = int(np.abs(series.time - at).argmin())
    time, value = float(series.time[nearest]), float(series.value[nearest])
    if abs(time - at) > max(_NEAR_SECONDS, _NEAR_SHARE * at) or value <= 0:
        raise BloodError(
            f"no arterial sample with activity lies near {at:g} s; the nearest is at {time:g} s.",
            where=blood.source,
            hint=f"Set {option} to the time of a sample after the peak.",
        )
    ratio = assumed_ratio(np.array([time]), acquisition)[0][0] if quantity == "plasma" else 1.0
    return OneSample(time, value / float(ratio), quantity)
