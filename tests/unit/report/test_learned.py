"""The learned input function in the report of a scan."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from dlif_core.curve import InputFunction
from dlif_core.networks.prediction.features import WINDOW_EDGES
from dlif_core.report import ScanReport, scan_report
from dlif_core.report.blood import plasma_lines
from dlif_core.report.explanation_files import explanation_record
from dlif_core.report.learned import (
    explanation_table,
    ki_by_input_function,
    ki_table,
    learned_section,
    most_relevant_voxel,
    steady_relevance,
)
from dlif_core.scan import Acquisition, RegionCurves
from tests.unit.report.examples import ACQUISITION, TIMING, input_function, region_curves, region_fit
from tests.unit.report.page import Page

SHAPE = (20, 16, 14)
HEART = (9, 7, 6)


def explanation() -> xr.Dataset:
    rng = np.random.default_rng(0)
    blood = np.zeros(SHAPE, np.float32)
    blood[tuple(slice(at - 1, at + 2) for at in HEART)] = 0.8
    relevance = np.stack([blood, 0.1 * blood])
    frames = len(TIMING)
    windows = len(WINDOW_EDGES) - 1
    hidden = np.full((2, windows), 0.01)
    hidden[:, 0], hidden[:, 3], hidden[1, -1] = 0.9, 0.25, np.nan  # the first ends before the bolus arrives
    space = ("z", "y", "x")
    return xr.Dataset(
        {
            "weight_map": (space, blood - 0.02),
            "mean_activity": (space, rng.random(SHAPE)),
            "value": ("target", [50.0, 8.0]),
            "gap": ("target", [0.012, 0.02]),
            "relevance": (("target", *space), relevance),
            "relevance_sd": (("target", *space), np.full((2, *SHAPE), 0.5)),
            "relevance_frames": (("target", "frame"), np.ones((2, frames))),
            "relevance_region": (("target", "region"), [[5.0, 45.0], [8.0, 0.0]]),
            "occlusion_region": (("target", "region"), [[0.1, 0.9], [0.2, -0.3]]),
            "occlusion_window": (("target", "window"), hidden),
        },
        coords={
            "target": ["auc", "peak"],
            "title": ("target", ["area under the curve", "highest frame"]),
            "units": ("target", ["SUV·min", "SUV"]),
            "region": ["brain", "left_ventricle"],
            "window_start": ("window", list(WINDOW_EDGES[:-1])),
            "window_end": ("window", list(WINDOW_EDGES[1:])),
            "frame_start": ("frame", TIMING.start),
            "frame_duration": ("frame", TIMING.duration),
            "curve": ("frame", np.ones(frames)),
        },
    )


def learned(state: str = "doubtful") -> InputFunction:
    provenance = {
        "model": {"name": "mouse", "digest": "0123456789abcdef" * 4},
        "scope": {"state": state, "reasons": ["the <dose> is unusual."] if state == "doubtful" else []},
        "level": 0.9,
        "intervals": {"auc": [40.0, 44.0], "Ki brain": [0.9, 1.1]},
    }
    return replace(input_function("learned"), provenance=provenance)


def page(state: str = "doubtful", **changes) -> Page:
    regions = region_curves(region_fit({"brain": {"Ki": 0.02}, "liver": {"Ki": 0.001}}))
    curves = {"learned": learned(state), "arterial": input_function(scale=1.1)}
    return Page(scan_report(ScanReport("sub-01", ACQUISITION, TIMING, regions, curves, **changes)))


def test_shows_scope_model_and_explanation():
    found = page(explanation=explanation())
    assert "learned" in found.ids
    for text in ("doubtful", "the <dose> is unusual.", "mouse", "0123456789ab", "40.0 to 44.0"):
        assert text in found.text
    assert "AUC [SUV·min], 90 % interval" in found.text
    assert "Ki brain over that by the true curve, 90 % interval" in found.text
    assert "area under the curve" in {row[0] for row in found.rows if row}


def test_intervals_that_were_left_out_are_said_to_be_with_the_reason():
    curve = learned()
    kept = curve.provenance | {"intervals": {}, "intervals left out": {"Ki brain": "they are calibrated on FDG."}}
    facts = dict(learned_section(replace(curve, provenance=kept)).facts)
    assert facts["Ki brain, 90 % interval"] == "left out: they are calibrated on FDG."


def test_without_explanation_scope_and_ki_remain():
    found = page("in scope")
    assert "in scope" in found.text
    assert "Where the curve came from" not in found.text
    assert "Effect on Ki" in found.text


def test_a_scan_without_a_learned_curve_has_no_such_section():
    regions = region_curves(region_fit({"brain": {"Ki": 0.02}}))
    report = ScanReport("sub-01", ACQUISITION, TIMING, regions, {"arterial": input_function()})
    assert "learned" not in Page(scan_report(report)).ids


def test_same_explanation_same_text():
    assert page(explanation=explanation()).text == page(explanation=explanation()).text


def test_table_names_what_mattered_most():
    auc, peak = explanation_table(explanation()).rows
    texts = [cell.text for cell in auc]
    assert texts[1:] == ["50.0", "SUV·min", "1.2", "left ventricle (90 %)", "15 to 25 s (−25.0 %)"]
    assert peak[4].text == "brain (100 %)"


def test_no_window_before_the_bolus_is_named():
    found = explanation_record(with_members(explanation()))["metrics"]["auc"]["change with window hidden"]
    assert next(iter(found)) == "-5 to 5 s"
    assert "-25 to -5 s" not in page(explanation=explanation()).text


def test_the_legend_says_that_the_band_holds_for_the_whole_curve():
    assert "learned, 90 % band, all frames at once" in page().text


def test_measured_plasma_is_told_with_its_file():
    curve = learned()
    measured = {
        "plasma to whole blood": {"from": "whole blood times measured ratio", "source": "/data/ratio.tsv"},
        "parent fraction": {"model": "hill", "source": "/data/parent.tsv"},
    }
    curves = {"learned": replace(curve, provenance=curve.provenance | measured), "arterial": input_function()}
    (line,) = plasma_lines(curves)
    assert line == (
        "learned: plasma by the measured ratio to whole blood (ratio.tsv); unchanged tracer by measured parent "
        "fractions, hill model (parent.tsv)."
    )
    regions = region_curves(region_fit({"brain": {"Ki": 0.02}}))
    assert line in Page(scan_report(ScanReport("sub-01", ACQUISITION, TIMING, regions, curves))).text
    assumed = {"plasma to whole blood": {"from": "formula"}, "parent fraction": {"model": None}}
    assert plasma_lines({"learned": replace(curve, provenance=assumed)}) == ()


def with_members(given: xr.Dataset) -> xr.Dataset:
    return given.assign_attrs(members=2)


def test_a_scan_without_labels_has_no_regions_to_hide():
    plain = explanation().drop_dims("region")
    assert explanation_table(plain).rows[0][4].text == "–"
    assert "Where the curve came from" in page(explanation=plain).text


def test_cuts_where_the_blood_is_and_hides_what_networks_do_not_agree_on():
    given = explanation()
    assert most_relevant_voxel(given) == HEART
    assert steady_relevance(given, 0).max() == pytest.approx(0.8)
    assert not steady_relevance(given, 1).any()


class TestKi:
    regions = RegionCurves(
        ("brain", "liver"), 1e5 * np.stack([1 + TIMING.mid / 900, 1 + TIMING.mid / 3000]), np.array([1.0, 2.0])
    )

    def test_goes_with_the_inverse_of_the_curve(self):
        """Patlak's Ki of a curve that is higher by a tenth is lower by an eleventh."""
        curves = {"learned": input_function("learned"), "arterial": input_function(scale=1.1)}
        ki = ki_by_input_function(self.regions, TIMING, curves, ACQUISITION)
        assert ki is not None
        np.testing.assert_allclose(ki["Ki"][0] / ki["Ki"][1], 1.1, rtol=1e-6)
        rows = ki_table(ki).rows
        assert [row[0].text for row in rows] == ["brain", "liver"]
        assert rows[0][2].error == "−9 %"

    def test_is_left_out_for_tracers_that_are_not_trapped(self):
        raclopride = Acquisition("[11C]raclopride", 1224.0)
        assert ki_by_input_function(self.regions, TIMING, {"learned": input_function()}, raclopride) is None

    def test_a_curve_that_can_not_be_used_is_passed_over(self):
        zero = input_function("learned", scale=0.0)
        ki = ki_by_input_function(self.regions, TIMING, {"learned": zero, "arterial": input_function()}, ACQUISITION)
        assert ki is not None
        assert ki["method"].to_numpy().tolist() == ["arterial"]
        assert ki_by_input_function(self.regions, TIMING, {"learned": zero}, ACQUISITION) is None
