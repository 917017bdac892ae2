"""Cohort tables: joins, tidy rows, sessions, input functions."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError
from dlif_core.kinetics import FitStatus
from dlif_core.statistics.curves import common_grid, curve_metrics, input_function_metrics, input_function_table
from dlif_core.statistics.sessions import retest_differences, retest_reliability, session_ratio
from dlif_core.statistics.tables import TIDY_COLUMNS, parameter_summary, region_table, summarise, to_tidy
from tests.unit.report.examples import input_function, region_fit

SCANS = pd.DataFrame(
    [(f"sub-{subject}_ses-{session}", subject, session) for subject in ("1", "2", "3") for session in ("a", "b")],
    columns=["scan_id", "subject", "session"],
)
KI = {
    "sub-1_ses-a": {"brain": 0.020, "heart": 0.10},
    "sub-1_ses-b": {"brain": 0.022, "heart": 0.08},
    "sub-2_ses-a": {"brain": 0.030, "heart": 0.12},
    "sub-2_ses-b": {"brain": 0.027, "heart": 0.06},
    "sub-3_ses-a": {"brain": 0.025},
    "sub-3_ses-b": {"brain": 0.026, "heart": 0.07},
}


def cohort(status: dict[str, dict[str, FitStatus]] | None = None) -> xr.Dataset:
    fits = {
        scan: region_fit({region: {"Ki": value} for region, value in regions.items()}, 0.1, (status or {}).get(scan))
        for scan, regions in KI.items()
    }
    return region_table(fits, SCANS)


def test_regions_are_joined_and_missing_ones_marked() -> None:
    table = cohort()
    assert dict(table.sizes) == {"scan": 6, "region": 2}
    assert table["region"].to_numpy().tolist() == ["brain", "heart"]
    assert float(table["Ki"].sel(scan="sub-2_ses-b", region="heart")) == 0.06
    gone = table.sel(scan="sub-3_ses-a", region="heart")
    assert np.isnan(gone["Ki"])
    assert int(gone["status"]) == -1
    assert table["Ki"].attrs["units"] == "mL cm-3 min-1"
    assert table["subject"].to_numpy().tolist() == ["1", "1", "2", "2", "3", "3"]


def test_tables_survive_a_zarr_round_trip(tmp_path: object) -> None:
    table = cohort()
    path = f"{tmp_path}/table.zarr"
    table.to_zarr(path, zarr_format=3, consolidated=False)
    xr.testing.assert_equal(xr.open_zarr(path, consolidated=False).load(), table)


def test_every_value_says_which_input_function_it_rests_on() -> None:
    fits = {scan: region_fit({"brain": {"Ki": 0.02}}) for scan in ("sub-1_ses-a", "sub-1_ses-b")}
    fits["sub-1_ses-b"].attrs["input_function"] = "population"
    table = region_table(fits, SCANS)
    assert table["input_function"].to_numpy().tolist() == ["arterial", "population"]
    rows = to_tidy({"fdg": table}).set_index("scan_id")
    assert rows["input_function"].to_dict() == {"sub-1_ses-a": "arterial", "sub-1_ses-b": "population"}


def test_implausible_values_stay_in_the_table_but_not_in_means() -> None:
    table = cohort({"sub-1_ses-a": {"brain": FitStatus.IMPLAUSIBLE}})
    means = parameter_summary(table, "Ki").set_index(["session", "region"])
    assert means.loc[("a", "brain"), ["n", "mean"]].tolist() == pytest.approx([2, 0.0275])
    rows = to_tidy({"fdg": table})
    assert rows[rows["status"] == "implausible"]["value"].tolist() == [0.02]


def test_two_models_are_not_mixed() -> None:
    other = region_fit({"brain": {"VT": 1.0}})
    other.attrs["model"] = "logan"
    with pytest.raises(ConfigurationError, match="2 models"):
        region_table({"sub-1_ses-a": region_fit({"brain": {"Ki": 1.0}}), "sub-1_ses-b": other}, SCANS)


def test_tidy_rows_hold_value_error_status_and_unit() -> None:
    rows = to_tidy({"fdg": cohort({"sub-1_ses-a": {"heart": FitStatus.AT_BOUND}})})
    assert tuple(rows.columns) == TIDY_COLUMNS
    assert len(rows) == 11  # 6 scans × 2 regions, less the one that is missing
    row = rows[(rows["scan_id"] == "sub-1_ses-a") & (rows["region"] == "heart")].iloc[0]
    assert row[["fit", "parameter", "value", "status", "unit"]].tolist() == [
        "fdg",
        "Ki",
        0.1,
        "at_bound",
        "mL cm-3 min-1",
    ]
    assert row["standard_error"] == pytest.approx(0.01)


def test_ratio_with_its_standard_error_by_monte_carlo() -> None:
    ratios = session_ratio(cohort(), "Ki", "b", "a")
    row = ratios[(ratios["subject"] == "2") & (ratios["region"] == "heart")].iloc[0]
    assert row["ratio"] == pytest.approx(0.5)
    rng = np.random.default_rng(0)
    draws = rng.normal(0.06, 0.0006, 40000) / rng.normal(0.12, 0.0012, 40000)  # 1 %, where the delta method is exact
    assert row["ratio_se"] / 10 == pytest.approx(draws.std(), rel=0.03)
    means = summarise(ratios, "ratio", ["region"]).set_index("region")
    assert means.loc["heart", ["n", "mean"]].tolist() == pytest.approx([2, 0.65])
    assert means.loc["brain", "sd"] == pytest.approx(np.std([1.1, 0.9, 1.04], ddof=1))


def test_unconverged_fits_do_not_enter_means() -> None:
    table = cohort({"sub-1_ses-a": {"brain": FitStatus.NOT_CONVERGED}})
    assert "1" not in session_ratio(table, "Ki", "b", "a").query("region == 'brain'")["subject"].tolist()
    means = parameter_summary(table, "Ki").set_index(["session", "region"])
    assert means.loc[("a", "brain"), ["n", "mean"]].tolist() == pytest.approx([2, 0.0275])


def test_retest_figures_by_hand() -> None:
    found = retest_reliability(cohort(), "Ki", ("a", "b")).set_index("region").loc["brain"]
    a, b = np.array([0.020, 0.030, 0.025]), np.array([0.022, 0.027, 0.026])
    assert found["n"] == 3
    assert found["absolute_variability_percent"] == pytest.approx(np.mean(200 * np.abs(b - a) / (a + b)))
    assert found["difference_percent"] == pytest.approx(np.mean(200 * (b - a) / (a + b)))
    # One-way layout of two columns: the within-subject variance is the mean of each pair's own variance.
    within = np.sqrt(np.mean([np.var(pair, ddof=1) for pair in zip(a, b, strict=True)]))
    assert found["within_subject_sd"] == pytest.approx(within)
    assert found["repeatability_coefficient"] == pytest.approx(2.7719 * within, rel=1e-4)
    assert found["icc_lower"] < found["icc"] < found["icc_upper"] <= 1
    assert len(retest_differences(cohort(), "Ki", ("a", "b"))) == 5


def test_two_scans_in_a_session_are_refused() -> None:
    table = cohort()
    with pytest.raises(ConfigurationError, match="more than one scan"):
        session_ratio(table.assign_coords(subject=("scan", ["1"] * 6)), "Ki", "b", "a")


def test_a_comparison_without_pairs_is_empty() -> None:
    assert retest_reliability(cohort(), "Ki", ("a", "elsewhere")).empty


def test_curve_metrics_of_a_triangle() -> None:
    found = curve_metrics([10, 20, 40, 60], [0.0, 8.0, 0.0, 0.0])
    assert (found.peak, found.time_to_peak, found.fwhm, found.auc, found.auc_end) == (8.0, 20.0, 15.0, 120.0, 60.0)
    assert curve_metrics([10, 20, 40, 60], [0.0, 8.0, 0.0, 0.0], until=20).auc == 40.0
    assert np.isnan(curve_metrics([0, 10, 20], [0.0, 8.0, 7.0]).fwhm)


def test_input_function_table_is_the_curves_and_never_extrapolates() -> None:
    long, short = input_function("image-derived"), input_function("arterial", 0.5, end=1500.0)
    table = input_function_table(
        {"s1": {"arterial": short, "image-derived": long}, "s2": {"image-derived": long}, "s3": {}}
    )
    assert table["scan"].to_numpy().tolist() == ["s1", "s2"]
    blood = table["whole_blood"].sel({"scan": "s1", "method": "arterial"})
    assert np.isnan(blood.sel(time=slice(1501, None))).all()
    at = table["time"].to_numpy() <= 1500
    np.testing.assert_allclose(blood.to_numpy()[at], np.interp(table["time"][at], short.time, short.whole_blood))
    assert np.isnan(table["peak"].sel({"scan": "s2", "method": "arterial"}))
    assert float(table["auc_end"].sel({"scan": "s1", "method": "image-derived"})) == 1500.0
    fine = np.union1d(long.time[long.time < 1500], np.linspace(0, 1500, 999))
    area = np.trapezoid(np.interp(fine, long.time, long.plasma), fine)
    assert float(table["plasma_auc"].sel({"scan": "s1", "method": "image-derived"})) == pytest.approx(area, rel=1e-6)
    assert len(input_function_metrics({"s1": {"arterial": short}})) == 1


def test_grid_is_fine_at_the_peak_and_ends_at_the_end() -> None:
    grid = common_grid(5400.0)
    assert (np.diff(grid) > 0).all()
    assert np.diff(grid[grid <= 180]).max() == 1.0
    assert grid[-1] == 5400.0
    assert common_grid(100.5)[-1] == 100.5


def test_a_curve_that_starts_at_its_peak_has_a_width() -> None:
    curve = InputFunction(np.array([5.0, 15.0, 25.0]), np.array([8.0, 2.0, 0.0]), np.array([8.0, 2.0, 0.0]), "x")
    assert curve_metrics(curve.time, curve.whole_blood).fwhm == pytest.approx(20 / 3)
