"""Figures of a cohort and their page, from records made by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dlif_core.evaluation.candidates import Candidate
from dlif_core.evaluation.conditions import conditions
from dlif_core.evaluation.summary import COLUMNS, compare, subgroups, summarise
from dlif_core.evaluation.tables import as_record, markdown, number, results, table_lines, write_results

SCANS = 12
OTHERS = ("standard", "atlas", "tracers", "home")
ERRORS = np.linspace(0.1, 0.65, SCANS)


def record(method, seed, condition="standard", **figures):
    traits = {"site": f"site {seed // 2}",
              "body_weight": 0.02 + 0.001 * seed, "tumour": 5.0 * (seed % 2), "noise": 0.9 if seed < 4 else 2.1,
              "myocardium_ki": 0.03 if seed < 3 else 0.2, "shift": 0.0, "fault": ""}  # fmt: skip
    return {"condition": condition, "seed": seed, "method": method, **traits, "outcome": "made", "reason": ""} | figures


def sound(seed):
    """The better method: bands that widen with the error, two of twelve scans flagged."""
    return record(
        "good", seed, rmse=ERRORS[seed], early_rmse=2 * ERRORS[seed], auc_ratio=1.0 + 0.01 * seed, peak_ratio=0.9,
        fwhm_error=0.04 * (-1) ** seed, tilt=0.01 * seed,
        ki_brain_error=float(seed - 6), k1_brain_error=-20.0, seconds=1.5,
        band_covers=float(seed != 5), band_width=1.0 + ERRORS[seed], auc_covered=1.0,
        verdict="doubtful" if seed > 9 else "in scope", score=float(seed),
    )  # fmt: skip


@pytest.fixture(scope="module")
def table():
    rows = [sound(seed) for seed in range(SCANS)]
    rows += [record("good", seed, "truncated", rmse=3 * ERRORS[seed]) for seed in range(SCANS)]
    rows += [record("poor", seed, rmse=ERRORS[seed] + 0.3 + 0.01 * seed, auc_ratio=1.2) for seed in range(SCANS - 1)]
    rows.append(record("poor", SCANS - 1, outcome="failed", reason="ValueError: no"))
    rows += [record("good", seed, "tracers", rmse=0.5, band_covers=1.0, tilt=0.1) for seed in range(4)]
    rows += [record("good", 3300 + seed, "home", rmse=0.2, auc_ratio=1.0) for seed in range(4)]
    rows.append(record("good", 3304, "home", outcome="refused", reason="no"))
    faults = [("out of scope", np.nan, "refused"), ("doubtful", 10.5, "made"), ("in scope", 3.5, "made")]
    rows += [
        record("good", 1000 + k, "fault-units", fault="units: x 1000", verdict=verdict, score=score, outcome=outcome)
        for k, (verdict, score, outcome) in enumerate(faults)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def figures(table):
    return summarise(table)


def of(figures, name, method="good", condition=None):
    rows = figures[(figures["figure"] == name) & (figures["method"] == method)]
    rows = rows[rows["condition"] == condition] if condition else rows[~rows["condition"].isin(OTHERS)]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rmse", np.median(ERRORS)),
        ("auc_ratio", 1.055),
        ("auc_ratio_p05", 1.0055),
        ("auc_ratio_p95", 1.1045),
        ("peak_ratio", 0.9),
        ("tilt", 0.055),
        ("doubtful", 2 / 12),
        ("refused", 0.0),
        ("fwhm_error", 0.04),
        ("ki_brain", 3.0),
        ("ki_brain_p95", 5.45),
        ("k1_brain", 20.0),
        ("band_covers", 11 / 12),
        ("band_width", 1.0 + np.mean(ERRORS)),
        ("error_and_width", 1.0),
        ("auc_covered", 1.0),
        ("seconds", 1.5),
        ("truncated_rmse", 1.5),
        ("made", 1.0),
        ("recall", 2 / 3),
        ("precision", 2 / 4),
        ("auroc", (12 + 11 + 4) / 36),
    ],
)
def test_figures(figures, name, value):
    found = of(figures, name)
    assert found["value"] == pytest.approx(value)
    assert found["low"] <= found["value"] + 1e-9
    assert found["value"] - 1e-9 <= found["high"]


def test_what_is_required_is_judged(figures):
    assert of(figures, "rmse")["required"] == "≤ 0.3"
    assert of(figures, "rmse")["reached"] is False
    assert of(figures, "fwhm_error")["reached"] is True
    assert of(figures, "band_covers")["required"] == "0.86 to 0.95"
    assert of(figures, "tilt")["required"] == "≤ 0.03"
    assert of(figures, "doubtful")["reached"] is False
    assert of(figures, "refused")["reached"] is True
    assert of(figures, "rmse", condition="tracers")["required"] == "≤ 0.4"
    assert of(figures, "refused", condition="home")["value"] == pytest.approx(1 / 5)
    assert not figures.loc[figures["condition"] == "home", "required"].any()
    assert of(figures, "error_and_width")["required"] == "≥ 0.5"
    assert of(figures, "seconds")["reached"] is None


def test_a_scan_without_a_curve_is_counted(figures):
    assert of(figures, "made", "poor")["value"] == pytest.approx(11 / 12)
    assert of(figures, "rmse", "poor")["n"] == 11


def test_a_method_has_only_the_figures_it_gives(figures):
    poor = set(figures.loc[figures["method"] == "poor", "figure"])
    assert not poor & {"band_covers", "error_and_width", "recall", "ki_brain", "seconds"}
    assert list(figures.columns) == list(COLUMNS)


def test_a_method_that_broke_down_flagged_nothing(table):
    broken = table.assign(outcome=table["outcome"].mask(table["fault"] != "", "failed"))
    assert of(summarise(broken), "recall")["value"] == 0.0


def test_verdicts_without_scores(table):
    refused = table.drop(columns="score")
    assert of(summarise(refused), "recall")["value"] == pytest.approx(2 / 3)
    assert of(summarise(refused), "auroc")["value"] == 0.5


def test_comparison_is_wilcoxons_on_the_laboratories_of_both(table):
    found = compare(table, "good").iloc[0]
    difference = -0.3 - 0.01 * np.arange(SCANS - 1)
    medians = [np.median(difference[2 * site : 2 * site + 2]) for site in range(SCANS // 2)]
    assert (found["other"], found["n"], found["sites"]) == ("poor", SCANS - 1, SCANS // 2)
    assert found["difference"] == pytest.approx(np.median(difference))
    assert found["p_value"] == pytest.approx(stats.wilcoxon(medians).pvalue)


def test_the_cohort_is_both_kinds_of_laboratories(table):
    atlas = [
        record(method, 16000 + seed, "atlas", rmse=value + 0.1 * seed)
        for method, value in (("good", 1.0), ("poor", 3.0))
        for seed in range(4)
    ]
    both = pd.concat([table, pd.DataFrame(atlas)], ignore_index=True)
    found = summarise(both)
    assert of(found, "rmse")["value"] == pytest.approx(np.median([*ERRORS, 1.0, 1.1, 1.2, 1.3]))
    assert of(found, "rmse", condition="standard")["value"] == pytest.approx(np.median(ERRORS))
    assert of(found, "rmse", condition="atlas")["value"] == pytest.approx(1.15)
    assert compare(both, "good").iloc[0]["n"] == SCANS + 3
    groups = subgroups(both).set_index(["method", "group"])["scans"]
    assert groups["good", "with tumour"] + groups["good", "without tumour"] == SCANS + 4


def test_intervals_are_wider_where_animals_of_a_laboratory_are_alike():
    rng = np.random.default_rng(5)
    errors = np.repeat(rng.uniform(0.1, 0.9, 10), 8)
    alike = pd.DataFrame([record("good", seed, rmse=error) for seed, error in enumerate(errors)])
    alone = alike.assign(site=[f"site {seed}" for seed in range(80)])
    widths = []
    for table in (alike.assign(site=[f"site {seed // 8}" for seed in range(80)]), alone):
        row = of(summarise(table), "rmse")
        widths.append(row["high"] - row["low"])
    assert widths[0] > 1.5 * widths[1]


def test_groups(table):
    groups = subgroups(table).set_index(["method", "group"])
    light = groups.loc[("good", "below 26 g")]
    assert (light["scans"], light["rmse"]) == (6, pytest.approx(np.median(ERRORS[:6])))
    assert groups.loc[("good", "low myocardial Ki (< .07, as fasted)"), "scans"] == 3
    assert groups.loc[("good", "with tumour"), "scans"] + groups.loc[("good", "without tumour"), "scans"] == SCANS
    assert np.isnan(groups.loc[("poor", "with tumour"), "ki_brain"])


def test_nothing_made_at_all():
    table = pd.DataFrame([record("bad", seed, outcome="failed", reason="x") for seed in range(2)])
    assert of(summarise(table), "made", "bad")["value"] == 0.0
    assert compare(pd.concat([table, table.assign(method="other")]), "bad").iloc[0]["n"] == 0


@pytest.fixture(scope="module")
def found(table):
    methods = [
        Candidate("good", "Good", "1", print, judges=True, model={"name": "m", "digest": "abcdef0123456789"}),
        Candidate("poor", "Poor", "2", print),
    ]
    return results(table, methods, conditions(SCANS))


def test_page_names_figures_comparisons_and_failures(found):
    page = markdown(found)
    assert "| whole-blood RMSE, median [SUV] | ≤ 0.3 | **0.375 (" in page
    assert "| standard | mice of held-out laboratories | `held-out-laboratories` | 12 | 4 |" in page
    assert "## Other tracers" in page
    assert "Model of `good`: m (abcdef012345)" in page
    assert "| good − poor | 11 | 6 |" in page
    assert "| standard | poor | failed | 1 | ValueError: no |" in page
    assert "| good | fault: units | share flagged | 3 |" in page
    widths = {line.count("|") for line in page.split("## Held-out cohort")[1].split("##")[0].splitlines() if line}
    assert widths == {5}


def test_page_has_both_kinds_of_laboratories_where_there_are_two(table):
    rows = [record("good", 16000 + seed, "atlas", rmse=0.5) for seed in range(4)]
    both = pd.concat([table, pd.DataFrame(rows)], ignore_index=True)
    found = results(both, [Candidate("good", "Good", "1", print)], conditions(SCANS, __file__))
    page = markdown(found)
    assert "## Held-out cohort: mice of another anatomy, camera and noise" in page
    assert (
        "| cohort | mice of all held-out laboratories | `held-out-laboratories and atlas-laboratories` | 18 | 6 |"
        in page
    )


def test_files_hold_the_same(found, tmp_path):
    write_results(found, tmp_path)
    rows = pd.read_csv(tmp_path / "evaluation.tsv", sep="\t", na_values="n/a")
    assert len(rows) == len(found.records)
    content = json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail)
    assert content == json.loads(json.dumps(as_record(found)))
    assert content["not_made"][0]["reason"] == "ValueError: no"
    assert {row["figure"] for row in content["figures"]} >= {"rmse", "recall", "truncated_rmse"}
    assert len(pd.read_csv(tmp_path / "summary.tsv", sep="\t")) == len(found.metrics)
    assert (tmp_path / "evaluation.md").read_text() == markdown(found)


def test_numbers_and_cells():
    assert [number(value) for value in (0.12345, -12.34, np.nan, None)] == ["0.123", "-12.3", "–", "–"]
    assert table_lines(["a"], [["x|y\nz"]])[-1] == "| x\\|y z |"
