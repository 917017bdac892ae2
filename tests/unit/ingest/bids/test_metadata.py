"""Times, doses, weights and units of a scan, from its sidecars and its row of participants.tsv."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlif_core.errors import (
    FrameOverlapError,
    FrameTimingError,
    InputError,
    UnitError,
)
from tests.unit.ingest.bids.dataset import (
    DURATION,
    SIDECAR,
    START,
    make_dataset,
    write,
)
from tests.unit.ingest.bids.opening import ACTIVITY, fault, ingest


class TestTime:
    def test_frames_start_from_injection(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"InjectionStart": 5, "ImageDecayCorrectionTime": 5})
        ingested = ingest(tmp_path)
        np.testing.assert_allclose(ingested.scan.timing.start, np.array(START) - 5)
        np.testing.assert_allclose(ingested.blood[0].time, [-5, 25, 15])
        np.testing.assert_allclose(ingested.scan.regions.activity[0], ACTIVITY.mean(axis=(1, 2, 3)))
        # blood is corrected to TimeZero, 5 s before injection, where the activity was higher
        np.testing.assert_allclose(ingested.blood[0].whole_blood[1], 2500 * math.exp(-5 * math.log(2) / 6586.2))
        assert any("shifted" in warning for warning in ingested.warnings)

    def test_another_decay_reference_is_brought_to_injection(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"ImageDecayCorrectionTime": 6586.2})
        scan = ingest(tmp_path).scan
        np.testing.assert_allclose(scan.regions.activity[0], 2 * ACTIVITY.mean(axis=(1, 2, 3)), rtol=1e-6)

    def test_frame_end_times_in_place_of_durations(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"FrameDuration": [10, 30, 60, 180]})
        fault(tmp_path, FrameOverlapError, "END times", "sub-01_pet.json")

    def test_gaps_are_reported(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"FrameDuration": [10, 20, 20, 120]})
        assert "There is a gap of 10 s after frame 3." in ingest(tmp_path).warnings

    def test_scan_start_that_contradicts_the_frames_is_reported(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"ScanStart": 3})
        assert any("ScanStart is 3 s" in warning for warning in ingest(tmp_path).warnings)

    @pytest.mark.parametrize("value", [None, "n/a", [], [0, "x", 30, 60], 5])
    def test_frame_times_that_are_no_numbers(self, tmp_path: Path, value: Any) -> None:
        make_dataset(tmp_path, {"FrameTimesStart": value})
        fault(tmp_path, FrameTimingError, "FrameTimesStart")

    def test_all_faults_of_a_sidecar_at_once(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        write(pet / "sub-01_pet.json", {"TracerName": "FDG", "Units": "counts", "ImageDecayCorrected": False})
        error = fault(tmp_path, InputError, "4 faults", "FrameTimesStart is missing and FrameDuration is missing")
        for word in ("half-life", "field Units: 'counts'", "not decay-corrected"):
            assert word in error.message

    def test_an_image_without_decay_correction_is_refused(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"ImageDecayCorrected": False})
        fault(tmp_path, InputError, "not decay-corrected", "ImageDecayCorrectionTime")

    def test_unknown_decay_correction_is_assumed_with_a_warning(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"ImageDecayCorrected": None})
        assert any("taken to be decay-corrected" in warning for warning in ingest(tmp_path).warnings)


class TestAcquisition:
    def test_values_in_canonical_units(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        ingested = ingest(tmp_path)
        acquisition = ingested.scan.acquisition
        assert acquisition.tracer == "FDG"
        assert acquisition.half_life == 6586.2
        assert acquisition.injected_activity == 10e6
        assert acquisition.body_weight == pytest.approx(0.022)
        assert acquisition.species == "mouse"
        assert acquisition.decay_corrected
        assert ingested.warnings == ()

    @pytest.mark.parametrize("spelling", ["C11", "11C", "[11C]", "C-11", "^11^C"])
    def test_spellings_of_a_nuclide(self, tmp_path: Path, spelling: str) -> None:
        make_dataset(tmp_path, {"TracerRadionuclide": spelling})
        assert ingest(tmp_path).scan.acquisition.half_life == pytest.approx(20.364 * 60)

    def test_stated_half_life_goes_before_the_table(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"TracerRadionuclide": "C11", "RadionuclideHalfLife": 1220.04})
        assert ingest(tmp_path).scan.acquisition.half_life == 1220.04

    @pytest.mark.parametrize("fields", [{"RadionuclideHalfLife": 109.77}, {"TracerRadionuclide": "Xx1"}])
    def test_wrong_or_unknown_half_life(self, tmp_path: Path, fields: dict[str, Any]) -> None:
        make_dataset(tmp_path, fields)
        fault(tmp_path, InputError, "alf")

    @pytest.mark.parametrize("unit", [None, "n/a", "counts"])
    def test_dose_without_unit_is_left_out_with_a_warning(self, tmp_path: Path, unit: str | None) -> None:
        make_dataset(tmp_path, {"InjectedRadioactivityUnits": unit})
        ingested = ingest(tmp_path)
        assert ingested.scan.acquisition.injected_activity is None
        assert any("SUV is unavailable" in warning for warning in ingested.warnings)

    def test_weight_without_unit_is_kilograms_with_a_warning(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        (tmp_path / "participants.json").unlink()
        ingested = ingest(tmp_path)
        assert ingested.scan.acquisition.body_weight == 22
        assert any("kg is assumed" in warning for warning in ingested.warnings)

    def test_weight_of_the_scan_goes_before_the_participants(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"BodyWeight": 25.0, "BodyWeightUnits": "g"})
        assert ingest(tmp_path).scan.acquisition.body_weight == pytest.approx(0.025)

    def test_absent_participant_has_no_weight(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        write(tmp_path / "participants.tsv", "participant_id\tweight\nsub-02\t70\n")
        ingested = ingest(tmp_path)
        assert ingested.scan.acquisition.body_weight is None
        assert any("weight is unknown" in warning for warning in ingested.warnings)

    @pytest.mark.parametrize("unit", ["counts", "", None, "g/mL"])
    def test_unknown_image_unit(self, tmp_path: Path, unit: str | None) -> None:
        make_dataset(tmp_path, {"Units": unit})
        fault(tmp_path, UnitError, "sub-01_pet.json, field Units")

    @pytest.mark.parametrize(("unit", "factor"), [("BQML", 1), ("Bq/ml", 1), ("MBq/mL", 1e6), ("nCi/cc", 37)])
    def test_spellings_of_the_image_unit(self, tmp_path: Path, unit: str, factor: float) -> None:
        make_dataset(tmp_path, {"Units": unit})
        expected = ACTIVITY.mean(axis=(1, 2, 3)) / 1000 * factor
        np.testing.assert_allclose(ingest(tmp_path).scan.regions.activity[0], expected, rtol=1e-6)

    def test_values_are_inherited_and_overridden(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        write(tmp_path / "pet.json", SIDECAR | {"TracerName": "PIB", "Units": "counts"})
        write(pet / "sub-01_pet.json", {"Units": "kBq/mL"})
        assert ingest(tmp_path).scan.acquisition.tracer == "PIB"

    @pytest.mark.parametrize("content", ["{", "[1, 2]", ""])
    def test_a_sidecar_that_is_no_json_object(self, tmp_path: Path, content: str) -> None:
        write(make_dataset(tmp_path) / "sub-01_pet.json", content)
        fault(tmp_path, InputError, "JSON", "sub-01_pet.json")


def test_frames_of_the_scan(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    timing = ingest(tmp_path).scan.timing
    np.testing.assert_array_equal(timing.start, START)
    np.testing.assert_array_equal(timing.duration, DURATION)
