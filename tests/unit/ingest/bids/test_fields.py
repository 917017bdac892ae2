"""Fields of a sidecar: absent, readable in any legal spelling, or refused by name and value."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlif_core.errors import InputError
from dlif_core.ingest.bids.metadata import Metadata, read_metadata
from dlif_core.ingest.reader import ScanFiles
from tests.unit.ingest.bids.dataset import SIDECAR, make_dataset, write
from tests.unit.ingest.bids.opening import fault, ingest

TRUE = [True, 1, 1.0, "true", "True", "TRUE", "yes", "1", " true "]
FALSE = [False, 0, 0.0, "false", "False", "no", "0", "NO"]


class TestDecayCorrection:
    @pytest.mark.parametrize("value", TRUE)
    def test_true_in_any_spelling(self, tmp_path: Path, value: object) -> None:
        make_dataset(tmp_path, {"ImageDecayCorrected": value})
        assert ingest(tmp_path).warnings == ()

    @pytest.mark.parametrize("value", FALSE)
    def test_false_in_any_spelling_is_refused(self, tmp_path: Path, value: object) -> None:
        make_dataset(tmp_path, {"ImageDecayCorrected": value})
        fault(tmp_path, InputError, "not decay-corrected", repr(value))

    @pytest.mark.parametrize("value", ["maybe", 2, ["true"], {"a": 1}, "corrected"])
    def test_anything_else_is_refused(self, tmp_path: Path, value: object) -> None:
        make_dataset(tmp_path, {"ImageDecayCorrected": value})
        error = fault(tmp_path, InputError, "ImageDecayCorrected is", "not true or false")
        assert "not given" not in str(error)

    def test_a_scheme_that_says_the_opposite_is_refused(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"ImageDecayCorrected": True, "DecayCorrection": "NONE"})
        fault(tmp_path, InputError, "DecayCorrection is 'NONE', though ImageDecayCorrected is true")
        make_dataset(tmp_path, {"ImageDecayCorrected": None, "DecayCorrection": "None"})
        fault(tmp_path, InputError, "DecayCorrection is 'None'.")

    def test_the_start_of_the_scan_is_the_reference_where_the_scheme_says_so(self, tmp_path: Path) -> None:
        changes = {"ImageDecayCorrectionTime": None, "DecayCorrection": "START", "ScanStart": "10:00:10"}
        make_dataset(tmp_path, changes)
        assert ingest(tmp_path).timeline.decay_reference == 10


class TestTimes:
    @pytest.mark.parametrize(
        ("zero", "stated", "seconds"),
        [
            ("10:00:00", "09:58:00", -120),
            ("10:00:00", "10:00:05.5", 5.5),
            ("00:01:00", "23:59:00", -120),
            ("23:59:30", "00:00:30", 60),
            ("2020-01-02T10:00:00", "10:00:30", 30),
            ("9:00", "9:0:1", 1),
        ],
    )
    def test_clock_times_count_from_time_zero(self, tmp_path: Path, zero: str, stated: str, seconds: float) -> None:
        make_dataset(tmp_path, {"TimeZero": zero, "InjectionStart": stated, "ImageDecayCorrectionTime": stated})
        ingested = ingest(tmp_path)
        assert ingested.provenance["injection_start"] == seconds
        assert ingested.provenance["image_factor"] == 1000
        assert [finding.check for finding in ingested.findings].count("clock-time") == 2
        assert ("across midnight" in ingested.warnings[0]) == ("23:59" in zero + stated)

    @pytest.mark.parametrize("field", ["InjectionStart", "ScanStart", "ImageDecayCorrectionTime"])
    @pytest.mark.parametrize("value", ["unknown", "5,5", True, [5], {}, "095800", "095800.00", "100500.00", "25:00:00"])
    def test_what_is_no_time_is_refused(self, tmp_path: Path, field: str, value: object) -> None:
        make_dataset(tmp_path, {field: value})
        error = fault(tmp_path, InputError, f"field {field}")
        assert str(value) in error.message or "clock time" in error.message
        assert "not given" not in str(error)

    def test_a_clock_time_needs_time_zero(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"TimeZero": None, "InjectionStart": "09:58:00"})
        fault(tmp_path, InputError, "InjectionStart is the clock time 09:58:00, but TimeZero", "is not given")

    @pytest.mark.parametrize("value", [None, "n/a", "", "N/A"])
    def test_absent_times_are_assumed_and_told(self, tmp_path: Path, value: object) -> None:
        make_dataset(tmp_path, {"InjectionStart": value})
        ingested = ingest(tmp_path)
        assert ingested.warnings == ("InjectionStart is not given; injection is taken to be at time zero.",)

    def test_times_beside_the_frames(self, tmp_path: Path) -> None:
        changes = {
            "InjectionStart": 5,
            "ImageDecayCorrectionTime": 5,
            "ScanStart": 3,
            "DecayCorrectionFactor": [1.1],
            "DecayFactor": [1, 1.1, 1.2, 1.3],
            "AcquisitionTime": "00:10:8.5",
            "SeriesTime": "23:50:00",
            "FrameReferenceTime": [5, 20, 45, 120],
        }
        make_dataset(tmp_path, changes)
        timeline = ingest(tmp_path).timeline
        assert (timeline.scan_start, timeline.decay_reference) == (-2, 0)
        assert timeline.decay_factors == (1, 1.1, 1.2, 1.3)
        assert timeline.acquired_after_series == 1208.5
        assert timeline.frame_references == (5, 20, 45, 120)


class TestHalfLife:
    @pytest.mark.parametrize(
        "spelling",
        [
            *("F18", "18F", "F-18", "[18F]", "^18^Fluorine", "Fluorine-18", "18-Fluorine", "FLUORINE18", "fluorine 18"),
            *("18F-FDG", "[18F]FDG", "18FFDG", "2-[18F]FDG", "C-111A1", "77004003", "F-18 FDG"),
        ],
    )
    def test_minutes_are_refused_however_the_nuclide_is_spelled(self, tmp_path: Path, spelling: str) -> None:
        make_dataset(tmp_path, {"TracerRadionuclide": spelling})
        assert ingest(tmp_path).scan.acquisition.half_life == 6586.2
        make_dataset(tmp_path, {"TracerRadionuclide": spelling, "RadionuclideHalfLife": 109.77})
        fault(tmp_path, InputError, "RadionuclideHalfLife is 109.77; F18 has 6586.2 s")

    @pytest.mark.parametrize("named", [None, "fluoride", "Pb212"])
    def test_one_of_no_known_nuclide_is_doubted(self, tmp_path: Path, named: str | None) -> None:
        make_dataset(tmp_path, {"TracerRadionuclide": named, "RadionuclideHalfLife": 109.77})
        (finding,) = ingest(tmp_path).findings
        assert (finding.check, finding.withholds) == ("half-life", True)
        assert "in minutes it would be that of F18" in finding.message

    def test_one_of_a_known_nuclide_needs_no_name(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"TracerRadionuclide": None, "RadionuclideHalfLife": 6588})
        ingested = ingest(tmp_path)
        assert (ingested.scan.acquisition.half_life, ingested.warnings) == (6588, ())

    @pytest.mark.parametrize("value", ["109.77 min", "6586,2", [6586.2], -1, 0])
    def test_what_is_no_half_life_is_refused(self, tmp_path: Path, value: object) -> None:
        make_dataset(tmp_path, {"RadionuclideHalfLife": value})
        fault(tmp_path, InputError, "field RadionuclideHalfLife")


class TestDose:
    def test_the_key_of_the_example_in_the_specification(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"InjectedRadioactivityUnits": None, "InjectedRadioActivityUnits": "mCi"})
        ingested = ingest(tmp_path)
        assert ingested.scan.acquisition.injected_activity == pytest.approx(370e6)
        assert [finding.check for finding in ingested.findings] == ["field-spelling"]
        assert "InjectedRadioActivityUnits is read as InjectedRadioactivityUnits" in ingested.warnings[0]

    def test_the_right_key_goes_before_one_in_another_case(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"InjectedRadioActivityUnits": "mCi"})
        assert ingest(tmp_path).scan.acquisition.injected_activity == 10e6

    def test_a_nearer_file_goes_before_the_right_key(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        write(tmp_path / "pet.json", SIDECAR)
        own = {name: value for name, value in SIDECAR.items() if name != "InjectedRadioactivityUnits"}
        write(pet / "sub-01_pet.json", own | {"injectedradioactivityunits": "kBq"})
        assert ingest(tmp_path).scan.acquisition.injected_activity == 10e3

    @pytest.mark.parametrize(
        ("unit", "becquerel"),
        [("µCi", 37e3), ("μCi", 37e3), ("uCi", 37e3), ("mCi", 37e6), ("GBq", 1e9), ("kBq", 1e3), ("Ci", 3.7e10)],
    )
    def test_units(self, tmp_path: Path, unit: str, becquerel: float) -> None:
        make_dataset(tmp_path, {"InjectedRadioactivityUnits": unit})
        assert ingest(tmp_path).scan.acquisition.injected_activity == pytest.approx(10 * becquerel)

    @pytest.mark.parametrize("value", ["200,5", "200 MBq", 0, -3, [200], True])
    def test_what_is_no_dose_is_told_from_none(self, tmp_path: Path, value: object) -> None:
        make_dataset(tmp_path, {"InjectedRadioactivity": value})
        ingested = ingest(tmp_path)
        assert ingested.scan.acquisition.injected_activity is None
        (finding,) = ingested.findings
        assert finding.check == "dose-unreadable"
        assert str(value) in finding.message

    def test_none_is_told(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"InjectedRadioactivity": "n/a"})
        assert [finding.check for finding in ingest(tmp_path).findings] == ["dose-not-given"]


def _cased(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name, name.lower(), name.upper(), name[0].lower() + name[1:]])


def _number(value: float) -> st.SearchStrategy[Any]:
    return st.sampled_from([value, str(value), f" {value} ", f"{value:e}"])


_TEXT = "hh:mm:ss"


@st.composite
def sidecars(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, float]]:
    """A sidecar in a random legal spelling, and the numbers that it means."""
    injection, scan = draw(st.integers(-600, 600)), draw(st.integers(-600, 600))
    dose = draw(st.integers(1, 500))
    unit, becquerel = draw(st.sampled_from([("MBq", 1e6), ("mbq", 1e6), ("kBq", 1e3), ("mCi", 3.7e7), ("µCi", 3.7e4)]))

    def time(seconds: int) -> Any:
        clock = f"{(36000 + seconds) // 3600:02d}:{(36000 + seconds) % 3600 // 60:02d}:{seconds % 60:02d}"
        return draw(st.one_of(st.just(clock), _number(float(seconds))))

    fields: dict[str, Any] = {
        "TracerName": "FDG",
        "TracerRadionuclide": draw(st.sampled_from(["F18", "18F", "[18F]", "Fluorine-18", "^18^Fluorine", "f-18"])),
        "RadionuclideHalfLife": draw(st.sampled_from([None, "n/a", 6586.2, "6586.2"])),
        "Units": draw(st.sampled_from(["kBq/mL", "KBQ/ML", "kBq/ml", "kBq / cc"])),
        "TimeZero": draw(st.sampled_from(["10:00:00", "10:00", "10:00:00.0", "2020-05-05T10:00:00"])),
        "InjectionStart": time(injection),
        "ScanStart": time(scan),
        "ImageDecayCorrectionTime": time(injection),
        "FrameTimesStart": draw(st.sampled_from([[600, 660], ["600", "660"], [600.0, 6.6e2]])),
        "FrameDuration": draw(st.sampled_from([[60, 60], ["60", 60.0]])),
        "ImageDecayCorrected": draw(st.sampled_from(TRUE)),
        "InjectedRadioactivity": draw(_number(float(dose))),
        "InjectedRadioactivityUnits": unit,
        "BodyWeight": draw(_number(70.0)),
        "BodyWeightUnits": draw(st.sampled_from(["kg", "kilograms", "Kg", "kilogram"])),
    }
    spelled = {draw(_cased(name)): value for name, value in fields.items()}
    return spelled, {"injection": injection, "scan": scan - injection, "dose": dose * becquerel}


@given(sidecars())
def test_random_legal_spellings_mean_the_same(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[dict[str, Any], dict[str, float]]
) -> None:
    fields, expected = case
    path = tmp_path_factory.getbasetemp() / "sub-01_pet.json"
    path.write_text(json.dumps(fields), encoding="utf-8")
    files = ScanFiles("sub-01", str(path.parent), "pet-bids", {"sidecar": (str(path),)}, "sub-01", "", False)
    metadata: Metadata = read_metadata(files)
    np.testing.assert_allclose(metadata.timing.start, np.array([600, 660]) - expected["injection"])
    np.testing.assert_allclose(metadata.timing.duration, [60, 60])
    assert metadata.injection_start == expected["injection"]
    assert metadata.timeline.scan_start == expected["scan"]
    assert metadata.image_factor == 1000
    assert metadata.acquisition.half_life == 6586.2
    assert metadata.acquisition.injected_activity == pytest.approx(expected["dose"])
    assert metadata.acquisition.body_weight == 70
