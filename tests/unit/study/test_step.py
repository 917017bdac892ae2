"""What decides a step, and the names of products."""

import json

from dlif_core.store import CONTENT_VERSION, Fingerprint
from dlif_core.study import products
from dlif_core.study.step import Plan, PlannedStep, State, Step, build_fingerprint


def step(scan: str = "sub-01", stage: str = "regions", variant: str = "patlak", product: str = "p") -> Step:
    return Step(scan, stage, variant, product, Fingerprint({"of": product}))


def test_parts_of_a_fingerprint_have_names_that_people_read() -> None:
    read = [step(product="a"), step(stage="ingest", variant="", product="b")]
    parts = build_fingerprint("maps", 3, {"kinetics.patlak.t_star": 15.0, "name": "study"}, read).parts
    assert parts == {
        "maps algorithm": "3",
        "schema version": str(CONTENT_VERSION),
        "kinetics.patlak.t_star": "15.0",
        "name": "study",
        "result of sub-01 regions patlak": read[0].fingerprint.digest,
        "result of sub-01 ingest": read[1].fingerprint.digest,
    }


def test_the_order_of_settings_and_of_what_is_read_does_not_count() -> None:
    read = [step(product="a"), step(stage="ingest", variant="", product="b")]
    one = build_fingerprint("maps", 3, {"x": {"b": 1, "a": 2}, "y": 1}, read)
    other = build_fingerprint("maps", 3, {"y": 1, "x": {"a": 2, "b": 1}}, reversed(read))
    assert one.digest == other.digest
    assert json.loads(one.parts["x"]) == {"a": 2, "b": 1}


def test_titles_leave_out_what_is_empty() -> None:
    assert step().title == "sub-01 regions patlak"
    assert step("", "cohort", "").title == "cohort"


def test_a_plan_tells_what_is_current_and_what_must_run() -> None:
    first, second, blocked = step("a", product="1"), step("b", product="2"), step("b", "maps", product="3")
    states = (State.CURRENT, State.RUN, State.BLOCKED)
    plan = Plan(tuple(PlannedStep(one, state) for one, state in zip((first, second, blocked), states, strict=True)), {})
    assert plan.current == {"1"}
    assert plan.to_run == (second,)
    assert [planned.step for planned in plan.of_scan("b")] == [second, blocked]


def test_products_have_different_names_in_places_of_their_own() -> None:
    scan = "sub-01_ses-a"
    within = [
        products.source_name(scan),
        products.input_function_name(scan, "arterial"),
        products.input_function_name(scan, "learned"),
        products.explanation_name(scan),
        products.fit_name(scan, "patlak", "regions"),
        products.fit_name(scan, "patlak", "maps"),
        products.selection_name(scan),
    ]
    assert len(set(within)) == len(within)
    assert all(name.startswith("scans/sub-01_ses-a.zarr/") for name in within)
    assert products.report_name(scan) == "reports/sub-01_ses-a"
    # the record of a failure lies outside the scan's Zarr group, in one folder with all others
    assert products.failure_name(within[4]) == "failures/scans.sub-01_ses-a.zarr.kinetics.patlak.regions"
