"""Verdict of the scope check: whether a model was made for a scan, and the reasons against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["in scope", "doubtful", "out of scope"]

#: From best to worst.
STATES: tuple[State, ...] = ("in scope", "doubtful", "out of scope")


@dataclass(frozen=True)
class Verdict:
    """Result of a check of a scan.

    Attributes
    ----------
    state
        ``"in scope"``, ``"doubtful"`` (use with care) or ``"out of scope"`` (don't use).
    reasons
        Reasons why it is not in scope, the gravest first, in words for the report; empty if it is.
    score
        Largest distance from known scans in units of the limit: above 1 the scan is doubtful. 0 for checks that measure
        no distance.
    """

    state: State = "in scope"
    reasons: tuple[str, ...] = ()
    score: float = 0.0


def worst(*verdicts: Verdict) -> Verdict:
    """Combine verdicts: the worst state, all reasons with those of the worst first, and the highest score."""
    ordered = sorted(verdicts, key=lambda verdict: -STATES.index(verdict.state))
    if not ordered:
        return Verdict()
    reasons = tuple(dict.fromkeys(reason for verdict in ordered for reason in verdict.reasons))
    return Verdict(ordered[0].state, reasons, max(verdict.score for verdict in verdicts))
