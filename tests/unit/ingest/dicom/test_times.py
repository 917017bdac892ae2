"""Times of frames, of the injection and of decay correction, and the traps between them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dlif_core.ingest import open_scan
from tests.unit.ingest.dicom.reading import described, found
from tests.unit.ingest.dicom.series import (
    DURATION,
    HALF_LIFE,
    START,
    Edit,
    clock,
    decay_factors,
    enhanced,
    write_series,
)


def doubts(root: Path) -> list[str]:
    """Checks that doubt or refuse a scan; it raises what the reader refuses."""
    (files,) = found(root)
    try:
        with open_scan(files) as read:
            return [one.check for one in read.findings if one.level in ("doubtful", "refused")]
    except Exception as error:
        return [finding.check for finding in getattr(error, "findings", ())] or [type(error).__name__]


def factors(reference: float) -> Edit:
    """Files whose factors correct for decay to a time [s from the first frame]."""

    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.DecayFactor = f"{decay_factors(reference)[frame]:.8g}"

    return edit


def no_factors(dataset: Dataset, frame: int, z: int) -> None:
    del dataset.DecayFactor


def moved(seconds: float) -> dict[str, Any]:
    """A series that began at another time than its first frame."""
    return {"SeriesDate": clock(seconds)["date"], "SeriesTime": clock(seconds)["time"]}


@pytest.mark.parametrize(
    ("maker", "series", "edit", "reference", "checks"),
    [
        ("SIEMENS", 0.0, factors(0.0), 0.0, []),
        # Siemens corrects to the time of the series, also where the first frame begins later
        ("SIEMENS", -3000.0, factors(-3000.0), -3000.0, []),
        ("SIEMENS", -3000.0, no_factors, -3000.0, []),
        # the standard says acquisition time, and factors tell
        ("Philips Medical Systems", -600.0, factors(0.0), 0.0, []),
        ("Philips Medical Systems", -600.0, no_factors, -600.0, ["decay-start"]),
        ("Philips Medical Systems", -100.0, factors(0.0), 0.0, []),
        ("Philips Medical Systems", -100.0, factors(-100.0), -100.0, []),
        # a few seconds don't matter
        ("Philips Medical Systems", -20.0, no_factors, -20.0, []),
        # GE: the series may be made after the scan
        ("GE MEDICAL SYSTEMS", 7200.0, factors(0.0), 0.0, []),
        ("GE MEDICAL SYSTEMS", 7200.0, no_factors, 0.0, []),
    ],
)
def test_start_is_the_time_that_the_factors_tell(
    tmp_path: Path, maker: str, series: float, edit: Edit, reference: float, checks: list[str]
) -> None:
    write_series(tmp_path, edit, Manufacturer=maker, **moved(series))
    read = described(tmp_path)
    assert read.fields["ImageDecayCorrected"] is True
    assert read.fields["ImageDecayCorrectionTime"] == pytest.approx(reference)
    assert [check for check in read.checks if check != "frame-reference"] == checks


def test_ge_states_the_time_of_its_scan(tmp_path: Path) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        del dataset.DecayFactor
        block = dataset.private_block(0x0009, "GEMS_PETD_01", create=True)
        block.add_new(0x0D, "DT", clock(-120)["both"])

    write_series(tmp_path, edit, Manufacturer="GE MEDICAL SYSTEMS", **moved(7200.0))
    assert described(tmp_path).fields["ImageDecayCorrectionTime"] == -120.0


@pytest.mark.parametrize(("series", "sound"), [(0.0, True), (-3000.0, True)])
def test_the_checks_find_nothing_in_sound_times(tmp_path: Path, series: float, sound: bool) -> None:
    write_series(tmp_path, factors(series), **moved(series))
    assert (doubts(tmp_path) == []) == sound


def test_the_series_time_gives_the_same_activity_at_injection(tmp_path: Path) -> None:
    """Corrected to 3000 s before the first frame, which is the injection here."""

    def edit(dataset: Dataset, frame: int, z: int) -> None:
        factors(-3000.0)(dataset, frame, z)
        item = dataset.RadiopharmaceuticalInformationSequence[0]
        item.RadiopharmaceuticalStartTime = clock(-3000.0)["time"]

    write_series(tmp_path, edit, **moved(-3000.0))
    (files,) = found(tmp_path)
    with open_scan(files) as read:
        assert read.provenance["image_factor"] == pytest.approx(1.0)
        assert read.scan.timing.start.tolist() == (3000.0 + START).tolist()


@pytest.mark.parametrize(
    ("edit", "check"),
    [
        (factors(1200.0), "decay-factors"),
        (lambda dataset, frame, z: setattr(dataset, "DecayFactor", "0.7"), "decay-factors"),
        (
            lambda dataset, frame, z: setattr(
                dataset, "FrameReferenceTime", str(1000 * (START[-1 - frame] + DURATION[-1 - frame] / 2))
            ),
            "frame-reference",
        ),
    ],
)
def test_contradictions_are_doubts(tmp_path: Path, edit: Edit, check: str) -> None:
    write_series(tmp_path, edit)
    assert check in doubts(tmp_path)


@pytest.mark.parametrize("offset", [0.0, 30.0, -120.0])
@pytest.mark.parametrize("part", [0.0, 0.5, 0.45])
def test_frames_may_count_as_their_start_or_middle_from_any_zero(tmp_path: Path, offset: float, part: float) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.FrameReferenceTime = f"{1000 * (offset + START[frame] + part * DURATION[frame]):.6f}"

    write_series(tmp_path, edit)
    read = described(tmp_path)
    assert read.fields["FrameTimesStart"] == START.tolist()
    assert read.checks == []


@pytest.mark.parametrize(
    ("fields", "corrected", "time"),
    [
        ({"DecayCorrection": "ADMIN"}, True, -300.0),
        ({"DecayCorrection": "NONE"}, False, None),
        ({"DecayCorrection": ""}, True, 0.0),
        ({"DecayCorrection": "", "CorrectedImage": ["ATTN"]}, False, None),
        ({"DecayCorrection": "", "CorrectedImage": ""}, True, 0.0),
    ],
)
def test_other_decay_corrections(
    tmp_path: Path, fields: dict[str, Any], corrected: bool | None, time: float | None
) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        item = dataset.RadiopharmaceuticalInformationSequence[0]
        item.RadiopharmaceuticalStartTime = clock(-300)["time"]

    write_series(tmp_path, edit, **fields)
    read = described(tmp_path)
    assert read.fields.get("ImageDecayCorrected") is corrected
    assert read.fields.get("ImageDecayCorrectionTime") == time


@pytest.mark.parametrize(("reference", "expected"), [(0.0, 0.0), (-300.0, -300.0), (900.0, None)])
def test_factors_tell_where_no_event_is_named(tmp_path: Path, reference: float, expected: float | None) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        factors(reference)(dataset, frame, z)
        dataset.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime = clock(-300)["time"]

    write_series(tmp_path, edit, DecayCorrection="")
    assert described(tmp_path).fields.get("ImageDecayCorrectionTime") == expected


def injected_at(**stated: str) -> Edit:
    """Files that state the injection in other elements."""

    def edit(dataset: Dataset, frame: int, z: int) -> None:
        item = dataset.RadiopharmaceuticalInformationSequence[0]
        del item.RadiopharmaceuticalStartTime
        for keyword, value in stated.items():
            setattr(item if keyword.startswith("Radio") else dataset, keyword, value)

    return edit


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"RadiopharmaceuticalStartTime": "095500"}, -300.0),
        ({"RadiopharmaceuticalStartTime": "09:55:00"}, -300.0),
        ({"RadiopharmaceuticalStartTime": "0955"}, -300.0),
        ({"RadiopharmaceuticalStartTime": "100020.500000"}, 20.5),
        ({"RadiopharmaceuticalStartDateTime": "20240506095500"}, -300.0),
        ({"RadiopharmaceuticalStartDateTime": "20240504100000"}, -2 * 86400.0),
        # a date of the calibration, or one that was shifted to hide it
        ({"RadiopharmaceuticalStartDateTime": "20190101095500"}, -300.0),
        (
            {"RadiopharmaceuticalStartDateTime": "20240506075500+0000", "TimezoneOffsetFromUTC": "+0200"},
            -300.0,
        ),
        ({"RadiopharmaceuticalStartTime": ""}, None),
        ({"RadiopharmaceuticalStartTime": "noon"}, None),
    ],
)
def test_injection_counts_from_the_first_frame(tmp_path: Path, stated: dict[str, str], expected: float | None) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        injected_at(**stated)(dataset, frame, z)
        if expected == -2 * 86400.0:
            dataset.RadiopharmaceuticalInformationSequence[0].RadionuclideHalfLife = 282276.0
            dataset.RadiopharmaceuticalInformationSequence[0].RadionuclideCodeSequence = []

    import pydicom

    with pydicom.config.disable_value_validation():
        write_series(tmp_path, edit)
    assert described(tmp_path).fields.get("InjectionStart") == expected


def test_injection_before_midnight(tmp_path: Path) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        moment = clock(14 * 3600 + 60 + START[frame])
        dataset.AcquisitionDate, dataset.AcquisitionTime = moment["date"], moment["time"]
        dataset.SeriesDate, dataset.SeriesTime = clock(14 * 3600 + 60)["date"], clock(14 * 3600 + 60)["time"]
        dataset.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime = "235500"

    write_series(tmp_path, edit)
    assert described(tmp_path).fields["InjectionStart"] == -360.0


def test_no_clock_times_leave_the_frames_to_the_table(tmp_path: Path) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        for keyword in ("AcquisitionDate", "AcquisitionTime", "ActualFrameDuration", "FrameReferenceTime"):
            setattr(dataset, keyword, None)

    write_series(tmp_path / "data" / "pet", edit)
    assert "FrameTimesStart" not in described(tmp_path / "data").fields
    table = tmp_path / "scans.tsv"
    table.write_text(
        "source\tFrameTimesStart\tFrameDuration\tInjectionStart\tImageDecayCorrectionTime\n"
        "pet\t0 60 180\t60 120 1800\t0\t0\n"
    )
    (files,) = found(tmp_path / "data", str(table))
    with open_scan(files) as read:
        assert read.scan.timing.start.tolist() == START.tolist()


def test_enhanced_states_its_decay_reference(tmp_path: Path) -> None:
    def edit(dataset: Dataset) -> None:
        dataset.DecayCorrectionDateTime = clock(-600)["both"]
        dataset.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime = clock(-600)["both"]

    enhanced(tmp_path, edit)
    read = described(tmp_path)
    assert read.fields["ImageDecayCorrectionTime"] == read.fields["InjectionStart"] == -600.0


def test_clock_times_in_whole_seconds(tmp_path: Path) -> None:
    """Frames of 30.5 s whose starts are written without fractions."""

    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.ActualFrameDuration = 30500
        dataset.AcquisitionTime = clock(int(30.5 * frame))["time"][:6]
        del dataset.FrameReferenceTime, dataset.DecayFactor

    write_series(tmp_path, edit)
    read = described(tmp_path)
    assert read.fields["FrameTimesStart"] == [0.0, 30.5, 61.0]
    assert read.checks == ["frame-starts"]


def test_a_decay_reference_of_another_century_is_refused(tmp_path: Path) -> None:
    enhanced(tmp_path, lambda dataset: setattr(dataset, "DecayCorrectionDateTime", "99990506100000"))
    assert doubts(tmp_path) in (["ImageError"], ["decay-reference"])


def test_factors_are_those_of_the_frames() -> None:
    """The factors that the tests write hold for the mean of a decaying frame."""
    time = np.linspace(START[2], START[2] + DURATION[2], 10001)
    assert decay_factors()[2] == pytest.approx(1 / np.mean(2.0 ** (-time / HALF_LIFE)), rel=1e-4)
