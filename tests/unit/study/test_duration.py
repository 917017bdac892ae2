"""How long a plan takes, from steps that were done before."""

import pytest

from dlif_core.store import Fingerprint, Marker
from dlif_core.study.duration import expected_duration
from dlif_core.study.step import Plan, PlannedStep, State, Step


def planned(scan: str, stage: str, variant: str, state: State) -> PlannedStep:
    return PlannedStep(Step(scan, stage, variant, f"{scan}/{stage}/{variant}", Fingerprint({})), state)


def marker(step: PlannedStep, seconds: float, status: str = "success") -> Marker:
    return Marker(step.step.product, "f", {}, "c", "2026-11-30T00:00:00+00:00", seconds, status)


def test_each_step_takes_the_median_of_those_of_its_kind_and_others_are_unknown() -> None:
    done = [planned(f"m{number}", "maps", "patlak", State.CURRENT) for number in range(3)]
    refused = planned("m3", "maps", "logan", State.CURRENT)
    stale = planned("m4", "ingest", "", State.RUN)  # made before, with other settings
    again = [planned(f"m{number}", "maps", "patlak", State.RUN) for number in (5, 6)]
    new = [planned(f"m{number}", "maps", "logan", State.RUN) for number in (5, 6)]
    found = [marker(step, seconds) for step, seconds in zip(done, (10.0, 20.0, 90.0), strict=True)]
    found += [marker(refused, 1.0, "unavailable"), marker(stale, 7.0)]
    plan = Plan((*done, refused, stale, *again, *new), {})
    expected = expected_duration(plan, {each.product: each for each in found})
    assert expected.seconds == pytest.approx(2 * 20 + 7)
    assert expected.known == 3
    assert expected.longest == ("maps patlak", pytest.approx(40))
    assert expected.unknown == {"maps logan": 2}


def test_of_what_was_never_done_nothing_is_the_longest() -> None:
    expected = expected_duration(Plan((planned("m1", "ingest", "", State.RUN),), {}), {})
    assert expected.longest is None
