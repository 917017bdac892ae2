"""How long a planned run takes, from how long steps of its kinds have taken before."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from statistics import median

from dlif_core.store import Marker
from dlif_core.study.step import Plan, Step


@dataclass(frozen=True)
class ExpectedDuration:
    """Time that the steps of a plan take, one after the other.

    Attributes
    ----------
    seconds
        Time of the steps of which there are earlier ones of the same stage and variant, each taken as their median [s].
    known
        How many steps that are.
    longest
        The kind of these steps that takes most of the time, and how much [s]; None if there are none.
    unknown
        Number of the other steps by their kind: stage and variant.
    """

    seconds: float
    known: int
    longest: tuple[str, float] | None
    unknown: Mapping[str, int]


def expected_duration(plan: Plan, markers: Mapping[str, Marker]) -> ExpectedDuration:
    """Expect of a plan what its steps took before, on other scans or with other settings.

    Parameters
    ----------
    plan
        The plan of a study.
    markers
        Every committed product of the study by name.
    """
    before = defaultdict(list)
    for planned in plan.steps:
        marker = markers.get(planned.step.product)
        if marker and marker.status == "success":
            before[_kind(planned.step)].append(marker.seconds)
    counts = Counter(_kind(step) for step in plan.to_run)
    known = {kind: count for kind, count in counts.items() if before[kind]}
    seconds = {kind: count * median(before[kind]) for kind, count in known.items()}
    return ExpectedDuration(
        sum(seconds.values()),
        sum(known.values()),
        max(seconds.items(), key=itemgetter(1), default=None),
        {kind: count for kind, count in counts.items() if kind not in known},
    )


def _kind(step: Step) -> str:
    return f"{step.stage} {step.variant}".strip()
