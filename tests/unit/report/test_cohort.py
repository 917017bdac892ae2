"""The cohort report: scans with their reasons, parameters, comparisons, curves, truth."""

import pandas as pd
import pytest
import xarray as xr

from dlif_core.checks import CHECKS
from dlif_core.report import CohortReport, Comparison, cohort_report
from dlif_core.report.cohort import outcome_parameter
from dlif_core.scan import Acquisition
from dlif_core.statistics.sessions import retest_reliability, session_ratio
from dlif_core.statistics.tables import region_table
from tests.unit.report.examples import ACQUISITION, input_function, region_fit
from tests.unit.report.page import Page

HOSTILE = "<img src=x onerror=alert(1)>"
REASON = "frame 3 ends 30 s after frame 4 starts. FrameDuration holds frame END times."
SCANS = pd.DataFrame(
    [
        ("sub-1_ses-a", "1", "a", "success", "", "../reports/sub-1_ses-a/report.html"),
        ("sub-1_ses-b", "1", "b", "incomplete", "not done: maps", "../reports/sub-1_ses-b/report.html"),
        ("sub-2_ses-a", "2", "a", "success", "", "../reports/sub-2_ses-a/report.html"),
        ("sub-2_ses-b", "2", "b", "success", "", "../reports/sub-2_ses-b/report.html"),
        ("sub-3_ses-a", "3", "a", "excluded", REASON, ""),
        ("sub-4_ses-a", "4", "a", "failed", f"KilledWorker: {HOSTILE}", ""),
    ],
    columns=["scan_id", "subject", "session", "status", "reason", "report"],
).assign(remarks="", needs_care=False)
FALLBACK = "arterial was unavailable: there is no blood; population was used"
SHORT = "the 12 frames end 59 s after injection: a scan is hardly that short."
KI = {"sub-1_ses-a": 0.020, "sub-1_ses-b": 0.016, "sub-2_ses-a": 0.030, "sub-2_ses-b": 0.021}


def fits() -> dict[str, object]:
    return {
        scan: region_fit({"brain": {"K1": 0.3, "Ki": ki}, HOSTILE: {"K1": 0.1, "Ki": 2 * ki}})
        for scan, ki in KI.items()
    }


def example(**changes: object) -> CohortReport:
    table = region_table(fits(), SCANS)
    unit = "mL cm-3 min-1"
    content: dict[str, object] = {
        "title": "Two mice",
        "scans": SCANS,
        "tables": {"irreversible": table},
        "input_functions": {scan: {"arterial": input_function()} for scan in KI},
        "acquisitions": dict.fromkeys(KI, ACQUISITION),
        "comparisons": (
            Comparison("Ki, b / a", unit, session_ratio(table, "Ki", "b", "a")),
            Comparison("Ki, test-retest", unit, retest_reliability(table, "Ki", ("a", "b"))),
        ),
    }
    return CohortReport(**(content | changes))


def page(**changes: object) -> Page:
    return Page(cohort_report(example(**changes)))


def test_every_scan_is_listed_with_its_status_and_reason() -> None:
    rows = {row[0]: row for row in page().rows}
    assert set(SCANS["scan_id"]) <= set(rows)
    assert rows["sub-3_ses-a"][3:] == ["excluded", REASON]
    assert rows["sub-4_ses-a"][3:] == ["failed", f"KilledWorker: {HOSTILE}"]
    text = page().text
    for verdict in ("3 of 6 success", "1 of 6 incomplete", "1 of 6 excluded", "1 of 6 failed"):
        assert verdict in text


def test_a_success_with_another_input_function_is_told_in_yellow() -> None:
    scans = SCANS.copy()
    scans.loc[2, ["remarks", "needs_care"]] = [FALLBACK, True]
    html = cohort_report(example(scans=scans))
    row = next(row for row in Page(html).rows if row[0] == "sub-2_ses-a")
    assert row[3:] == ["success", FALLBACK]
    assert html.count('<span class="tone warn">success</span>') == 1
    assert html.count('<span class="tone good">success</span>') == 2
    assert "1 of 6 to be read with care" in Page(html).text
    assert "to be read with care" not in page().text


def test_findings_are_listed_by_weight_with_what_is_lost_and_how_to_accept() -> None:
    gaps = CHECKS["frame-gaps"].found("there is a gap of 10 s after frame 3.", where="sub-1/a.json")
    short = CHECKS["scan-too-short"].found(SHORT, where=f"sub-3/{HOSTILE}.json")
    findings = {"sub-1_ses-a": (gaps,), "sub-1_ses-b": (gaps,), "sub-2_ses-a": (gaps,), "sub-3_ses-a": (short,)}
    found = page(findings=findings)
    rows = [row for row in found.rows if row[1] in ("scan-too-short", "frame-gaps")]
    doubt, shared = rows
    assert doubt[:3] == ["sub-3_ses-a", "scan-too-short", "doubtful"]
    assert doubt[3] == f"{SHORT}sub-3/{HOSTILE}.json"
    assert "accept: [scan-too-short]" in doubt[4]
    assert doubt[4].endswith("The scan is excluded.")
    assert shared[:3] == ["sub-1_ses-a and 2 more", "frame-gaps", "assumed"]
    assert "checks" in found.ids
    assert not found.tags["img"]


def test_a_cohort_without_findings_has_no_table_of_them() -> None:
    assert "checks" not in page().ids


def test_reports_are_linked_where_there_is_one() -> None:
    links = [reference for reference in page().references if "report.html" in reference]
    assert links == [address for address in SCANS["report"] if address]


def test_summary_has_mean_sd_cv_and_count_for_each_session() -> None:
    found = page()
    row = next(row for row in found.rows if row[0] == "brain")
    assert row[1:] == ["0.0250± 0.0071", "28.3", "2", "0.0185± 0.0035", "19.1", "2"]
    assert "Ki, a" in found.text
    assert "mL·cm⁻³·min⁻¹" in found.text


def test_comparisons_are_summarised_over_subjects() -> None:
    rows = page().rows
    assert ["brain", "2", "0.750", "0.071", "9.4"] in [
        [*row[:3], f"{float(row[3]):.3f}", row[4]] for row in rows if len(row) == 5 and row[0] == "brain"
    ]
    assert ["1", "brain"] in [row[:2] for row in rows]


def test_a_comparison_without_pairs_says_so() -> None:
    table = region_table(fits(), SCANS)
    empty = Comparison("Ki, c / a", "1", session_ratio(table, "Ki", "c", "a"))
    assert "No subject has a usable value in both sessions." in page(comparisons=(empty,)).text


def test_truth_table_by_hand() -> None:
    truth = pd.DataFrame(
        {
            "scan_id": ["s1", "s2", "s3"],
            "fit": "irreversible",
            "region": "brain",
            "parameter": "Ki",
            "unit": "mL cm-3 min-1",
            "truth": [0.02, 0.03, 0.04],
            "estimate": [0.022, 0.030, 0.036],
            "standard_error": [0.002, 0.002, 0.001],
        }
    )
    row = next(row for row in page(truth=truth, tables={}, comparisons=()).rows if row[0] == "brain")
    assert row[1:3] == ["3", "0.0300"]
    assert row[5:8] == ["0.0", "10.0", "67"]


def test_curves_are_in_suv_where_dose_and_weight_are_known() -> None:
    unknown = Acquisition("[18F]FDG", 6586.2)
    found = page(acquisitions=dict.fromkeys(KI, ACQUISITION) | {"sub-1_ses-a": unknown})
    peaks = {row[0]: row[2] for row in found.rows if len(row) == 8 and row[1] == "arterial"}
    assert peaks["sub-1_ses-a"] == "–"
    assert float(peaks["sub-2_ses-a"]) == pytest.approx(input_function().whole_blood.max() * 23.1 / 9.3e6, abs=0.006)
    assert "kBq/mL" in page(acquisitions=dict.fromkeys(KI, unknown)).text


def test_scans_with_different_input_functions_are_said_to_differ() -> None:
    mixed = fits()
    mixed["sub-1_ses-a"].attrs["input_function"] = "population"
    assert "Input function differs between scans" in " ".join(
        page(tables={"x": region_table(mixed, SCANS)}).text.split()
    )


def test_a_cohort_without_results_still_has_a_report() -> None:
    text = page(tables={}, input_functions={}, comparisons=(), acquisitions={}).text
    assert "excluded" in text
    assert "Parameters" not in text


def test_self_contained_escaped_and_deterministic() -> None:
    html = cohort_report(example())
    assert html == cohort_report(example())
    assert "http" not in html
    assert not Page(html).tags["script"]
    assert not Page(html).tags["img"]


def test_the_delay_is_no_outcome_of_a_model() -> None:
    table = xr.Dataset({name: ("region", [1.0]) for name in ("delay", "delay_se", "SUV", "SUV_se")})
    assert outcome_parameter(table) == "SUV"
