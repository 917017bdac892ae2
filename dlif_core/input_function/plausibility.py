"""An input function against the tissue that it is to explain, whatever method it comes from."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from dlif_core.checks.blood import START_CHECK, TISSUE_TO_BLOOD_CHECK, start_fault, tissue_to_blood_fault
from dlif_core.curve import InputFunction
from dlif_core.errors import BloodError, UnitError
from dlif_core.scan import DynamicScan

#: Limits of mean parent plasma over mean whole blood. Of total plasma to whole blood 0.2 to 5 are known; a tracer may
#: be metabolised but for a few per cent. A unit that is wrong by 1000 lies beyond one of the limits.
_PARENT_TO_BLOOD = (0.003, 20.0)
#: At a peak of whole blood before this time [s] little is metabolised: parent plasma is at least this share of it.
_EARLY_PEAK, _PARENT_AT_PEAK = 180.0, 0.05


def require_plausible(scan: DynamicScan, curve: InputFunction, accept: Collection[str] = ()) -> None:
    """Refuse curves of tissue and blood of which one must be in another unit, or on another time axis, than stated.

    Parameters
    ----------
    scan
        The scan.
    curve
        An input function for the scan.
    accept
        Names of checks whose doubts are accepted.

    Raises
    ------
    BloodError
        If activity begins in blood and in tissue more than a minute apart.
    UnitError
        If the mean activity of the median region, or of parent plasma, is out of all proportion to that of whole blood.
    """
    where = f"input function {curve.method}"
    if START_CHECK.name not in accept:
        fault = start_fault(scan.regions, scan.timing, curve.time, curve.whole_blood)
        if fault:
            raise BloodError(fault, where=where, hint=START_CHECK.found(fault).advice)
    check = TISSUE_TO_BLOOD_CHECK
    if check.name in accept:
        return
    whole_blood, plasma = curve.frame_average(scan.timing)
    fault = tissue_to_blood_fault(scan.regions, scan.timing, whole_blood) or _parent_fault(
        *np.average([whole_blood, plasma], axis=1, weights=scan.timing.duration)
    )
    fault = fault or _fault_at_peak(curve)
    if fault:
        raise UnitError(fault, where=where, hint=check.found(fault).advice)


def _fault_at_peak(curve: InputFunction) -> str:
    peak = int(curve.whole_blood.argmax())
    of_blood, of_plasma = float(curve.whole_blood[peak]), float(curve.plasma[peak])
    if curve.time[peak] > _EARLY_PEAK or of_blood <= 0 or of_plasma >= _PARENT_AT_PEAK * of_blood:
        return ""
    return (
        f"at the peak of whole blood, {curve.time[peak]:g} s after injection, parent plasma is "
        f"{of_plasma / of_blood:.2g} times whole blood; little is metabolised yet, so that it is at least "
        f"{_PARENT_AT_PEAK:g} times."
    )


def _parent_fault(of_blood: float, of_plasma: float) -> str:
    low, high = _PARENT_TO_BLOOD
    ratio = of_plasma / of_blood if of_blood > 0 and of_plasma > 0 else 1.0
    if low <= ratio <= high:
        return ""
    return f"mean parent plasma is {ratio:.2g} times mean whole blood; {low:g} to {high:g} is possible."
