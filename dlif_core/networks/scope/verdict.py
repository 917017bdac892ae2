"""Whether a model may be trusted with a scan, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["in scope", "doubtful", "out of scope"]

#: From best to worst.
STATES: tuple[State, ...] = ("in scope", "doubtful", "out of scope")


@dataclass(frozen=True)
class Verdict:
    """What a check says of a scan.

    Attributes
    ----------
    state
        ``"in scope"``, ``"doubtful"`` (use with care) or ``"out of scope"`` (don't use).
    reasons
        Why it is not in scope, gravest first, in words for the report; empty if it is.
    score
        Largest distance from what is known, in units of what is allowed: above 1 it is doubtful. 0 for checks that
        measure no distance.
    """

    state: State = "in scope"
    reasons: tuple[str, ...] = ()
    score: float = 0.0


def worst(*verdicts: Verdict) -> Verdict:
    """One verdict of several: the worst state, all reasons with those of the worst first, the highest score."""
    ordered = sorted(verdicts, key=lambda verdict: -STATES.index(verdict.state))
    if not ordered:
        return Verdict()
    reasons = tuple(dict.fromkeys(reason for verdict in ordered for reason in verdict.reasons))
    return Verdict(ordered[0].state, reasons, max(verdict.score for verdict in verdicts))
