"""The state in which the run of a study ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from dlif_core.shown import counted
from dlif_core.study.states import ScanState, ScanStatus

#: Name of the state of a run in which some scans failed or were excluded: it counts as completed, and alarms tell it.
PARTIAL_SUCCESS = "PartialSuccess"

#: What a scan must come to after a run of the whole study, and after one that reads the data only.
ANALYSED = frozenset({ScanStatus.SUCCESS})
READ = frozenset({ScanStatus.SUCCESS, ScanStatus.INCOMPLETE, ScanStatus.UNAVAILABLE})

#: What the data themselves rule out. It is told by the run that finds it, and is no fault of later ones.
_RULED_OUT = frozenset({ScanStatus.EXCLUDED, ScanStatus.UNAVAILABLE})


def study_state(
    scans: Sequence[ScanState], touched: Collection[str], aim: frozenset[ScanStatus] = ANALYSED
) -> State[Any]:
    """The state that tells how the scans of a study stand.

    It is failed if no scan succeeded, and partial if some failed or the run excluded some.

    Parameters
    ----------
    scans
        What became of every scan.
    touched
        Names of those that the run worked on.
    aim
        What counts as a success.
    """
    counts = Counter(scan.status for scan in scans)
    told = ", ".join(f"{counts[status]} {status}" for status in ScanStatus if counts[status])
    worked_on = (
        f"{len(touched)} of {counted(len(scans), 'scan')} worked on" if touched else "Nothing to do for the scans"
    )
    message = f"{worked_on}; now {told}."
    if not aim & counts.keys():
        return Failed(message=message)
    excluded = any(scan.status is ScanStatus.EXCLUDED and scan.scan in touched for scan in scans)
    if excluded or counts.keys() - aim - _RULED_OUT:
        return Completed(name=PARTIAL_SUCCESS, message=message)
    return Completed(message=message)
