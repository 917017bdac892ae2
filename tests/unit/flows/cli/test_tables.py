"""What the terminal shows is what was said: Rich takes words in square brackets for markup unless told otherwise."""

import io

import pandas as pd
from rich.console import Console

from dlif_core.checks import CHECKS
from dlif_core.errors import ExitCode
from dlif_core.evaluation.candidates import candidates
from dlif_core.evaluation.conditions import Condition
from dlif_core.evaluation.runner import evaluate
from dlif_core.evaluation.tables import results
from dlif_core.phantom import HELD_OUT
from dlif_core.study.states import ScanState, ScanStatus
from dlif_core.study.status import StudyStatus
from dlif_core.study.step import Plan, PlannedStep, State, Step
from flows.cli.tables import _metrics_table, _reached_table, plan_table, status_table, truth_table

#: A unit, a list of names and a folder: the first two vanish as markup, the third is an error.
REASON = "no durations [s] in [/data/sub-01]; regions: [brain] → [heart, liver]"


def shown(table) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return console.file.getvalue()


def test_reasons_of_a_plan() -> None:
    step = Step("sub-01", "maps", "patlak", "product", None)
    planned = PlannedStep(step, State.RUN, (REASON,))
    assert REASON in shown(plan_table(Plan((planned,), {})))


def test_reasons_of_a_status() -> None:
    status = StudyStatus((ScanState("sub-01", ScanStatus.FAILED, (REASON,)),))
    assert REASON in shown(status_table(status))


def test_of_many_scans_those_with_nothing_to_say_are_counted() -> None:
    names = [f"sub-{number:03}" for number in range(300)]
    current = [PlannedStep(Step(name, "maps", "patlak", name, None), State.CURRENT) for name in names[1:]]
    plan = Plan(
        (*current, PlannedStep(Step("sub-000", "maps", "patlak", "p", None), State.RUN, (REASON,))),
        dict.fromkeys(names),
    )
    states = [ScanState(name, ScanStatus.SUCCESS) for name in names[1:]]
    status = StudyStatus((ScanState("sub-000", ScanStatus.FAILED, (REASON,)), *states))
    for table in (plan_table(plan), status_table(status)):
        assert REASON in shown(table)
        assert "299 scans" in shown(table)
        assert "sub-299" not in shown(table)
    assert "sub-299" in shown(status_table(StudyStatus(status.scans[-200:])))


def test_a_success_to_be_read_with_care_is_marked_and_says_why() -> None:
    fallback = CHECKS["first-input-function"].found("arterial was unavailable: no blood; population was used.")
    careful = ScanState("sub-01", ScanStatus.SUCCESS, findings=(fallback,))
    status = StudyStatus((careful, ScanState("sub-02", ScanStatus.SUCCESS)))
    lines = {line.split("│")[1].strip(): line for line in shown(status_table(status)).splitlines() if "│" in line}
    assert "success !" in lines["sub-01"]
    assert "arterial was unavailable: no blood; population was used" in lines["sub-01"]
    assert "!" not in lines["sub-02"]
    assert status.exit_code is ExitCode.SUCCESS


def test_units_of_an_evaluation(tmp_path) -> None:
    methods, scans = candidates(["population"]), [Condition("standard", "mice", (0, 1), HELD_OUT)]
    found = results(evaluate(methods, scans, tmp_path), methods, scans)
    assert "FWHM error, median size [min]" in shown(_reached_table(found))
    assert "FWHM [min]" in shown(_metrics_table(found))


def test_unit_and_regions_of_the_truth() -> None:
    row = {
        "fit": "patlak",
        "region": "lobe [left]",
        "truth": 0.02,
        "estimate": 0.021,
        "error_percent": 5.0,
        "scan": "a",
    }
    text = shown(truth_table(pd.DataFrame([row])))
    assert "[mL/cm³/min]" in text
    assert "lobe [left]" in text
