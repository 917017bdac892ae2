"""Blood samples as recorded, before anything is merged, corrected or repaired."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import BloodError

Array = NDArray[np.float64]

#: Words in the names of recordings that were not sampled by hand.
_AUTOMATIC = ("autosampler", "automatic", "continuous", "online", "twilite", "allogg")
#: Nobody takes so many samples by hand at such intervals [s].
_MANY, _SHORT = 40, 3.0


@dataclass(frozen=True, eq=False)
class BloodRecording:
    """One recording of blood samples in canonical units; a cell without value is NaN.

    Attributes
    ----------
    name
        Recording name, as in PET-BIDS: ``autosampler``, ``manual`` …
    arterial
        False for venous samples, which never enter an arterial curve.
    time
        Shape (samples,) [s], in the order of the file.
    whole_blood, plasma
        Shape (samples,) [Bq/mL], or None where the recording has no such column. `plasma` is total plasma.
    parent_fraction
        Shape (samples,), 0 to 1, or None.
    source
        The file it came from.
    refused
        Why the samples can't be used, with the file and the remedy; "" if they can. Such a recording stands for a file
        that no method may read.
    dispersion
        Time constant by which the activities are dispersed and still to be corrected [s]; 0 for none.

    Raises
    ------
    BloodError
        If a column is not one number for each time.
    """

    name: str
    arterial: bool
    time: Array
    whole_blood: Array | None = None
    plasma: Array | None = None
    parent_fraction: Array | None = None
    source: str = ""
    refused: str = ""
    dispersion: float = 0.0

    def __post_init__(self) -> None:
        for column in ("time", "whole_blood", "plasma", "parent_fraction"):
            if getattr(self, column) is not None or column == "time":
                object.__setattr__(self, column, self._numbers(column))

    @property
    def is_automatic(self) -> bool:
        """Whether an autosampler or detector recorded it: its name says so, or it has a sample every few seconds."""
        name = self.name.lower()
        if any(word in name for word in _AUTOMATIC):
            return True
        times = np.unique(self.time[np.isfinite(self.time)])
        return len(times) >= _MANY and bool(np.median(np.diff(times)) <= _SHORT)

    def _numbers(self, column: str) -> Array:
        try:
            values = np.array(getattr(self, column), dtype=float)
        except (TypeError, ValueError):
            raise BloodError(
                f"column {column} does not hold numbers.", where=self.source, hint="Write n/a for a lost sample."
            ) from None
        if values.ndim != 1 or values.shape != np.shape(self.time):
            raise BloodError(
                f"column {column} has {values.size} values for {np.size(self.time)} times.",
                where=self.source,
                hint="Give one value for each time.",
            )
        return values
