"""The states in which scans and runs end, and how scans become batches."""

import pytest

from dlif_core.study.job import Outcome
from dlif_core.study.states import ScanState, ScanStatus
from dlif_core.study.step import Step
from flows.study_run import BATCH, batches
from flows.watch.states import READ, study_state
from tasks.steps import ScanWork, state_of

STATUS = {status[0]: status for status in ScanStatus}  # by its first letter


def scans(letters: str) -> list[ScanState]:
    return [ScanState(f"m{number}", STATUS[letter]) for number, letter in enumerate(letters)]


@pytest.mark.parametrize(
    ("letters", "kind", "name"),
    [
        ("sss", "COMPLETED", "Completed"),
        ("sseu", "COMPLETED", "Completed"),  # what data rule out is no fault of the run
        ("ssf", "COMPLETED", "PartialSuccess"),
        ("ssi", "COMPLETED", "PartialSuccess"),
        ("fff", "FAILED", "Failed"),
        ("ee", "FAILED", "Failed"),
    ],
)
def test_a_run_is_named_after_its_scans(letters: str, kind: str, name: str) -> None:
    state = study_state(scans(letters), ["m0"])
    assert (state.type.value, state.name) == (kind, name)
    for status in ScanStatus:
        count = letters.count(status[0])
        assert (f"{count} {status}" in str(state.message)) == (count > 0)


def test_an_exclusion_is_told_by_the_run_that_finds_it_and_by_no_later_one() -> None:
    """So a file that was truncated on its way alarms somebody, and only once."""
    assert study_state(scans("se"), ["m1"]).name == "PartialSuccess"
    assert study_state(scans("se"), ["m0"]).name == "Completed"
    assert study_state(scans("se"), []).name == "Completed"


def test_a_run_that_found_nothing_to_do_says_so_and_counts_agree_with_their_nouns() -> None:
    assert study_state(scans("s"), []).message == "Nothing to do for the scans; now 1 success."
    assert study_state(scans("s"), ["m0"]).message == "1 of 1 scan worked on; now 1 success."
    assert study_state(scans("ss"), ["m0"]).message == "1 of 2 scans worked on; now 2 success."
    assert state_of([outcome("ingest", "success")]).message == "1 step done"


def test_scans_that_were_only_read_are_no_failures_of_an_ingest() -> None:
    assert study_state(scans("iii"), ["m0"], READ).name == "Completed"
    assert study_state(scans("iif"), ["m0"], READ).name == "PartialSuccess"
    assert study_state(scans("ff"), ["m0"], READ).name == "Failed"


def outcome(stage: str, status: str, variant: str = "") -> Outcome:
    return Outcome(Step("m01", stage, variant, f"{stage}/{variant}", fingerprint=None), status, "because")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcomes", "name"),
    [
        ([("ingest", "success"), ("regions", "success")], "Completed"),
        ([("ingest", "success"), ("input-function", "unavailable"), ("regions", "success")], "Completed"),
        ([("ingest", "success"), ("regions", "unavailable")], "Unavailable"),
        ([("ingest", "excluded"), ("regions", "blocked")], "Excluded"),
        ([("ingest", "success"), ("regions", "failed"), ("report", "success")], "Failed"),
    ],
)
def test_a_task_is_named_after_what_became_of_its_scan(outcomes: list[tuple[str, str]], name: str) -> None:
    state = state_of([outcome(*one) for one in outcomes])
    assert state.name == name
    assert ("because" in str(state.message)) == (name != "Completed")


def test_a_step_is_told_once_however_often_a_scan_is_tried() -> None:
    told: list[Outcome] = []
    work = ScanWork("m01", [], told.append)
    for one in (outcome("ingest", "success"), outcome("ingest", "success"), outcome("regions", "failed")):
        work.tell(one)
    assert [one.step.stage for one in told] == ["ingest", "regions"]


def test_no_flow_run_holds_more_scans_than_a_batch() -> None:
    works = [ScanWork(f"m{number}", [], lambda _: None) for number in range(2 * BATCH + 1)]
    found = list(batches(works))
    assert [len(batch) for _, batch in found] == [BATCH, BATCH, 1]
    assert [work for _, batch in found for work in batch] == works
    assert found[-1][0] == f"scans {2 * BATCH + 1} to {2 * BATCH + 1} of {2 * BATCH + 1}"
