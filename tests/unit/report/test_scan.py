"""The scan report: everything that matters is in it, escaped, labelled, self-contained and the same every time."""

import base64
import io
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlif_core.checks import CHECKS
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import FitSettings, FitStatus, fit_regions
from dlif_core.report import ScanReport, scan_report
from dlif_core.report.numbers import decimals, number, significant
from dlif_core.report.regions import shown_regions
from dlif_core.report.scan import frame_schedule
from dlif_core.report.slices import Viewport, busiest, view
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves
from tests.unit.report.examples import (
    ACQUISITION,
    TIMING,
    fit_attributes,
    input_function,
    maps,
    region_curves,
    region_fit,
)
from tests.unit.report.page import Page

HOSTILE = "<script>alert('x')</script> & $a$b"
VALUES = {
    "myocardium": {"K1": 0.5123, "vB": 0.2, "Ki": 0.0871},
    "brain": {"K1": 0.2311, "vB": 0.05, "Ki": 0.0213},
    HOSTILE: {"K1": 0.1, "vB": 0.1, "Ki": 0.01},
}
SHAPE = (12, 16, 20)


def example(**changes: object) -> ScanReport:
    fit = region_fit(VALUES, status={HOSTILE: FitStatus.AT_BOUND})
    labels = np.zeros(SHAPE, np.int32)
    labels[4:9, 4:12, 5:15] = 2
    report = ScanReport(
        scan_id="sub-01_ses-baseline",
        acquisition=ACQUISITION,
        timing=TIMING,
        regions=region_curves(fit),
        input_functions={"arterial": input_function(), "image-derived": input_function("image-derived", 0.9)},
        unavailable={"input function population": "no template for this tracer."},
        region_fits={"irreversible": fit},
        maps={"patlak": maps(SHAPE)},
        mean_image=1e5 * (labels + 1.0),
        labels=labels,
        voxel_size=(2.0, 1.0, 1.0),
        warnings=(("ingest", f"the region {HOSTILE} was renamed."),),
        provenance={
            "settings": {"irreversible": {"model": "2tcm-irreversible"}},
            "fingerprints": {"regions": "c0ffee"},
        },
    )
    return replace(report, **changes)


@cache
def usual_html() -> str:
    return scan_report(example())


def page(**changes: object) -> Page:
    return Page(scan_report(example(**changes)) if changes else usual_html())


def test_identity_and_acquisition_are_stated_with_units() -> None:
    text = page().text
    for fact in ("sub-01_ses-baseline", "[18F]FDG", "9.30 MBq", "23.1 g", "109.77 min", "22: 6 × 10 s", "0 to 45 min"):
        assert fact in text
    assert "Research use only" in text


def test_every_region_and_parameter_of_every_fit_is_there() -> None:
    rows = page().rows
    row = next(row for row in rows if row[0] == "myocardium")
    assert row[1:5] == ["converged", "0.512± 0.026", "0.2000± 0.0100", "0.0871± 0.0044"]
    assert {row[0] for row in rows} >= {"myocardium", "brain", HOSTILE}
    assert "at bound" in next(row for row in rows if row[0] == HOSTILE)
    assert page().text.count("mL·cm⁻³·min⁻¹") >= 4


def test_verdict_counts_fits_warnings_and_what_is_unavailable() -> None:
    text = page().text
    assert "2 of 3 region fits converged, 1 at a bound" in text
    assert "1 product unavailable" in text
    assert "2 warnings" in text  # one of ingest, one that the arterial curve carries
    assert "no template for this tracer." in text


def test_what_checks_found_is_at_the_head_and_in_a_table() -> None:
    message = "arterial was unavailable: there is no blood; population was used."
    fallback = [CHECKS["first-input-function"].found(message, where=f"{one} patlak") for one in ("regions", "maps")]
    doubt = CHECKS["dose-range"].found("2e+08 MBq is no dose.", where="sub-01_pet.json")
    html = scan_report(example(findings=(*fallback, doubt)))
    heads = re.findall(r'<li class="warn">(.*)</li>', html)
    assert heads[1:4] == ["1 product unavailable", message.rstrip("."), "dose is not used (dose-range)"]
    rows = {row[0]: row for row in Page(html).rows}
    assert rows["dose-range"][1:3] == ["doubtful", "2e+08 MBq is no dose.sub-01_pet.json"]
    assert rows["first-input-function"][1:3] == ["assumed", f"{message}regions patlak, maps patlak"]
    assert "all checks passed" not in html


def test_a_scan_of_which_nothing_was_found_says_so() -> None:
    assert "all checks passed" in page().text
    assert "checks" not in page().ids


def test_implausible_fits_are_counted_apart() -> None:
    fit = region_fit(VALUES, status={"brain": FitStatus.IMPLAUSIBLE})
    found = page(region_fits={"irreversible": fit})
    assert "2 of 3 region fits converged, 1 not plausible" in found.text
    assert next(row for row in found.rows if row[0] == "brain")[1] == "implausible"


def test_input_functions_have_their_figures() -> None:
    row = next(row for row in page().rows if row[0] == "arterial")
    curve = input_function()
    factor = 1000 * 0.0231 / 9.3e6
    assert float(row[1]) == pytest.approx(factor * curve.whole_blood.max(), abs=0.006)
    assert float(row[4]) == pytest.approx(factor * np.trapezoid(curve.whole_blood, curve.time) / 60, abs=0.06)
    assert "the last sample was extrapolated." in row


def test_activity_is_in_kbq_per_ml_without_dose() -> None:
    text = page(acquisition=Acquisition("[11C]MC1", 1223.4)).text
    assert "kBq/mL" in text
    assert "SUV" not in text
    assert "not given" in text


def test_hostile_names_are_escaped() -> None:
    found = page()
    assert not found.tags["script"]
    assert found.text.count(HOSTILE) >= 3  # panel title, table, warning


def test_nothing_outside_the_page_is_needed() -> None:
    html = usual_html()
    assert "http" not in html
    assert "@import" not in html
    assert not Page(html).tags["link"]
    assert all(value.startswith(("data:image/png;base64,", "#")) for value in Page(html).references)


def test_anchors_lead_somewhere() -> None:
    found = page()
    targets = {value[1:] for value in found.references if value.startswith("#") and not value.startswith("#m")}
    assert targets <= found.ids


def test_the_same_input_gives_the_same_bytes() -> None:
    assert scan_report(example()) == usual_html()


def test_region_curves_alone_have_no_slices() -> None:
    found = page(maps={}, mean_image=None, labels=None, voxel_size=None)
    assert "slices" not in found.ids
    assert not found.tags["img"]
    assert "region curves only" in found.text


def test_a_scan_without_any_result_still_has_a_report() -> None:
    text = page(input_functions={}, region_fits={}, maps={}, provenance={}, warnings=()).text
    assert "No input function is available" in text
    assert "no region was fitted" in text


def test_maps_without_a_value_are_said_to_have_none() -> None:
    empty = maps(SHAPE)
    empty["Ki"][:] = np.nan
    found = page(maps={"patlak": empty})
    assert "No voxel has a value." in found.text
    assert found.tags["img"]


def test_voxel_statuses_are_counted() -> None:
    row = next(row for row in page().rows if row[0] == "patlak")
    assert row[1] == "2\u2009880100.0 %"
    assert row[-1] == "960"


def test_fixed_blood_volume_is_shown_as_fixed() -> None:
    fit = region_fit(VALUES)
    fit.attrs |= fit_attributes(FitSettings("2tcm-irreversible", blood_volume=0.05))
    fit["vB"][:] = 0.05
    found = page(region_fits={"fixed": fit})
    assert "vB (fixed)" in found.text
    assert "0.05 (fixed)" in found.text
    assert next(row for row in found.rows if row[0] == "brain")[3] == "0.0500"


def test_t_star_is_reported() -> None:
    assert "t* 10 min" in re.sub(r"\s+", " ", page().text)


def test_slices_keep_the_shape_of_the_voxels_and_the_values() -> None:
    volume = np.arange(np.prod(SHAPE), dtype=float).reshape(SHAPE)
    shown = view(volume, "ramp", "1", Viewport((3, 5, 7), (2.0, 1.0, 1.0)))
    axial, coronal, sagittal = shown.panes
    assert axial.width / axial.height == pytest.approx(20 / 16, rel=0.02)
    assert coronal.width / coronal.height == pytest.approx(20 / 24, rel=0.02)
    assert sagittal.width / sagittal.height == pytest.approx(16 / 24, rel=0.02)
    picture = Image.open(io.BytesIO(base64.b64decode(axial.picture.partition(",")[2])))
    levels = np.asarray(picture)
    assert levels.shape == (16, 20)
    expected = 253 * volume[3, ::-1] / np.percentile(volume, 99)  # y points upwards; low end of the scale is 0
    np.testing.assert_allclose(levels, expected, atol=0.51)


def test_slices_go_through_the_most_active_part_of_the_regions() -> None:
    labels = np.zeros(SHAPE, np.int32)
    labels[4:11, 2:9, 6:18] = 1
    image = np.where(labels > 0, 5.0, 1.0)
    image[8, 2:9, 6:18] = image[4:11, 3, 6:18] = image[4:11, 2:9, 15] = 8.0
    image[2, 14, :8] = 80.0  # a bladder outside the regions
    assert busiest(image, labels, SHAPE) == (8, 3, 15)
    assert busiest(None, None, SHAPE) == (6, 8, 10)


def test_a_usual_image_stays_small() -> None:
    shape = (128, 192, 192)
    rng = np.random.default_rng(4)
    noise = rng.gamma(3, 1, shape).astype(np.float32)
    many = maps(shape)
    for name in ("K1", "k2", "k3", "vB"):
        many[name] = many["Ki"].copy(data=noise)
        many[f"{name}_se"] = many["Ki"].copy(data=noise)
    html = scan_report(example(maps={"irreversible": many}, mean_image=noise, labels=None))
    assert len(html) < 3e6


def test_largest_regions_are_shown_unless_the_study_names_some() -> None:
    names = tuple(f"region {i}" for i in range(20))
    volumes = np.arange(20.0)
    volumes[3] = 1000.0
    regions = RegionCurves(names, np.ones((20, 22)), volumes)
    assert shown_regions(regions) == ("region 3", *(f"region {i}" for i in range(9, 20)))
    assert shown_regions(regions, ("region 5", "absent")) == ("region 5",)


def test_frame_schedule_in_brief() -> None:
    timing = FrameTiming([0, 10, 20.001, 30, 60], [10, 10.001, 9.999, 30, 60])
    assert frame_schedule(timing) == "3 × 10 s, 1 × 30 s, 1 × 60 s"


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(0.02134, 4, "0.0213"), (-1.5, 1, "−1.5"), (float("nan"), 3, "–"), (3e-9, 4, "3e−09"), (2.5e9, 2, "2.5e+09")],
)
def test_numbers(value: float, places: int, text: str) -> None:
    assert number(value, places) == text


def test_decimals_follow_the_standard_error() -> None:
    assert decimals([0.5, 0.6], [0.012, 0.02]) == 3
    assert decimals([0.5, 0.6], [np.nan, np.nan]) == 3
    assert decimals([1234.0]) == 0
    assert decimals([]) == 2


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (12.345, "12.3"), (123456.0, "123456"), (2e7, "2.00e+07"), (None, "–")]
)
def test_significant_digits(value: float | None, text: str) -> None:
    assert significant(value) == text


def test_report_of_real_fits() -> None:
    curve = input_function()
    blood, plasma = curve.frame_average(TIMING)
    uptake = np.cumsum(plasma * TIMING.duration) / 60
    regions = RegionCurves(
        ("fast", "slow"), np.stack([0.1 * uptake + 0.3 * blood, 0.02 * uptake + 0.1 * blood]), [90, 40]
    )
    settings = {
        "patlak": FitSettings("patlak", t_star=5.0),
        "2tcm": FitSettings("2tcm-irreversible", blood_volume=0.05),
    }
    fits = {name: fit_regions(DynamicScan(TIMING, ACQUISITION, regions), curve, one) for name, one in settings.items()}
    found = page(regions=regions, region_fits=fits, maps={}, mean_image=None, labels=None)
    assert [row[0] for row in found.rows if row[0] in regions.names] == ["fast", "slow"] * 2
    estimate = float(next(row for row in found.rows if row[0] == "fast")[2].partition("±")[0])
    assert estimate == pytest.approx(float(fits["patlak"]["Ki"].sel(region="fast")), rel=0.01)
    assert "t* 5 min" in re.sub(r"\s+", " ", found.text)
    assert "vB (fixed)" in found.text


@pytest.mark.realdata
def test_report_of_a_measured_scan_has_all_its_regions(real_data: Path) -> None:
    from dlif_core.ingest import find_scans, open_scan
    from dlif_core.input_function import estimate

    files = next(one for one in find_scans(str(real_data / "ds004869_mc1")) if one.scan_id == "sub-01_ses-baseline")
    with open_scan(files) as ingested:
        scan, blood = ingested.scan, ingested.blood
    curve = estimate("arterial", scan, blood)
    settings = FitSettings("logan", t_star=20.0)
    fit = fit_regions(scan, curve, settings)
    content = ScanReport(
        files.scan_id, scan.acquisition, scan.timing, scan.regions, {"arterial": curve}, region_fits={"logan": fit}
    )
    html = scan_report(content)
    assert len(html) < 1e6
    assert set(scan.regions.names) <= {row[0] for row in Page(html).rows}
    assert "654 MBq" in Page(html).text
