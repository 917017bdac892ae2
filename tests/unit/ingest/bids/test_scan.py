"""Opening a scan with image, blood and curves: values known from what was written, faults in words."""

import gzip
import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import fsspec
import nibabel
import numpy as np
import pytest

from dlif_core.errors import (
    BloodError,
    CurveError,
    DlifError,
    FrameOverlapError,
    FrameTimingError,
    ImageError,
    InputError,
    MissingInputError,
    UnitError,
)
from dlif_core.ingest import IngestedScan, find_scans, image_geometry, open_scan
from tests.unit.ingest.bids.dataset import (
    AFFINE,
    BLOOD,
    BLOOD_TABLE,
    DURATION,
    SIDECAR,
    START,
    curve_table,
    make_dataset,
    voxels,
    write,
    write_curves,
    write_image,
)

ACTIVITY = voxels().T * 0.5 * 1000.0  # slope .5, kBq/mL; (frame, z, y, x)


def ingest(root: Path | str, groups: dict[str, tuple[str, ...]] | None = None) -> IngestedScan:
    """Open the only scan; what is returned holds no open file, the image aside."""
    (files,) = find_scans(str(root))
    with open_scan(files, groups or {}) as ingested:
        return ingested


def fault(root: Path, kind: type[DlifError], *words: str) -> DlifError:
    """Open the only scan, which must fail with all these words, naming a file and a remedy."""
    with pytest.raises(kind) as caught:
        ingest(root)
    error = caught.value
    assert type(error) is kind
    assert str(root) in error.where
    assert error.hint or "faults" in error.message
    for word in words:
        assert word in str(error)
    return error


class TestImage:
    def test_values_are_scaled_and_in_frame_z_y_x_order(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        (files,) = find_scans(str(tmp_path))
        with open_scan(files) as ingested:
            image = ingested.scan.activity
            assert image is not None
            assert image.shape == (4, 5, 4, 3)
            whole = image[...]
            assert whole.dtype == np.float32
            np.testing.assert_array_equal(whole, ACTIVITY.astype(np.float32))
            for key in (np.s_[2], np.s_[:, 1:3], np.s_[1:3, 2, ..., ::2], np.s_[..., 1], np.s_[0, 1, 2, 2]):
                np.testing.assert_array_equal(image[key], ACTIVITY[key].astype(np.float32))

    def test_affine_and_voxel_size(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        scan = ingest(tmp_path).scan
        np.testing.assert_allclose(scan.affine, AFFINE)
        np.testing.assert_allclose(scan.voxel_size, [4, 3, 2])

    def test_lengths_in_micrometres_become_millimetres(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        image = nibabel.Nifti1Image(voxels(), np.diag([500.0, 500, 597, 1]))
        image.header.set_xyzt_units("micron", "sec")
        nibabel.save(image, pet / "sub-01_pet.nii.gz")
        np.testing.assert_allclose(ingest(tmp_path).scan.voxel_size, [0.597, 0.5, 0.5], rtol=1e-6)

    def test_header_has_no_free_text(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        header = ingest(tmp_path).header
        assert len(header) == 348
        assert b"Jane" not in header
        found = nibabel.Nifti1Header(header)
        np.testing.assert_allclose(found.get_best_affine(), AFFINE)

    def test_nothing_private_is_kept(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"PatientName": "Jane Doe", "PatientBirthDate": "1970", "SeriesDescription": "Jane Doe"})
        ingested = ingest(tmp_path)
        kept = f"{ingested.scan.acquisition} {json.dumps(dict(ingested.provenance))} {ingested.warnings}"
        assert "Jane" not in kept
        assert "1970" not in kept

    def test_an_uncompressed_image_is_read_in_place(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        (pet / "sub-01_pet.nii.gz").unlink()
        write_image(pet / "sub-01_pet.nii", voxels(), slope=0.5)
        (files,) = find_scans(str(tmp_path))
        with open_scan(files) as ingested:
            assert ingested.scan.activity is not None
            np.testing.assert_array_equal(ingested.scan.activity[:], ACTIVITY.astype(np.float32))

    def test_a_remote_dataset_gives_the_same(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        memory = fsspec.filesystem("memory")
        memory.put(f"{tmp_path}/", "/remote/", recursive=True)
        try:
            (files,) = find_scans("memory://remote")
            with open_scan(files) as ingested:
                assert ingested.scan.activity is not None
                np.testing.assert_array_equal(ingested.scan.activity[:], ACTIVITY.astype(np.float32))
                assert ingested.blood[0].name == "manual"
        finally:
            memory.rm("/remote", recursive=True)

    def test_three_dimensions_are_one_frame(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"FrameTimesStart": [0], "FrameDuration": [60]}, voxels()[..., 0])
        (files,) = find_scans(str(tmp_path))
        with open_scan(files) as ingested:
            assert ingested.scan.activity is not None
            np.testing.assert_array_equal(ingested.scan.activity[0, 1], 500.0 * voxels()[..., 0].T[1])
        np.testing.assert_allclose(ingested.scan.regions.activity, [[500.0 * voxels()[..., 0].mean()]])

    def test_memory_stays_far_below_the_image(self, tmp_path: Path) -> None:
        frames, size = 4, (128, 128, 256)
        make_dataset(tmp_path, image=np.ones((*size, frames), dtype=np.float32))  # 67 MB
        (files,) = find_scans(str(tmp_path))
        tracemalloc.start()
        try:
            with open_scan(files):
                peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 40e6


class TestBadImage:
    def test_missing_sidecar(self, tmp_path: Path) -> None:
        (make_dataset(tmp_path) / "sub-01_pet.json").unlink()
        fault(tmp_path, MissingInputError, "no JSON sidecar", "sub-01_pet.json")

    def test_missing_image_and_curves(self, tmp_path: Path) -> None:
        (make_dataset(tmp_path) / "sub-01_pet.nii.gz").unlink()
        fault(tmp_path, MissingInputError, "neither an image nor region curves", "Add sub-01_pet.nii.gz")

    def test_dangling_link(self, tmp_path: Path) -> None:
        image = make_dataset(tmp_path) / "sub-01_pet.nii.gz"
        image.unlink()
        image.symlink_to(tmp_path / "annex" / "object")
        fault(tmp_path, MissingInputError, "sub-01_pet.nii.gz", "git annex get")

    def test_frame_count_differs_from_the_sidecar(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, image=voxels((3, 4, 5, 3)))
        fault(tmp_path, FrameTimingError, "3 frames", "for 4", "sub-01_pet.json", "sub-01_pet.nii.gz")

    @pytest.mark.parametrize("kept", [0.98, 0.5, 0.01])
    def test_truncated_gzip(self, tmp_path: Path, kept: float) -> None:
        image = make_dataset(tmp_path) / "sub-01_pet.nii.gz"
        content = image.read_bytes()
        image.write_bytes(content[: max(20, int(kept * len(content)))])
        fault(tmp_path, ImageError, "truncated", "sub-01_pet.nii.gz", "Fetch")

    def test_truncated_inside_an_intact_gzip(self, tmp_path: Path) -> None:
        image = make_dataset(tmp_path) / "sub-01_pet.nii.gz"
        image.write_bytes(gzip.compress(gzip.decompress(image.read_bytes())[:-10]))
        fault(tmp_path, ImageError, "truncated", "822 bytes", "832")

    @pytest.mark.parametrize(
        ("content", "word"),
        [
            (b"", "empty"),
            (b"\n", "not a gzip file"),
            (b"<!DOCTYPE html>" * 9, "DOCTYPE"),
            (gzip.compress(b"x", mtime=0), "NIfTI"),
        ],
    )
    def test_no_image_at_all(self, tmp_path: Path, content: bytes, word: str) -> None:
        (make_dataset(tmp_path) / "sub-01_pet.nii.gz").write_bytes(content)
        fault(tmp_path, ImageError, word, "sub-01_pet.nii.gz")

    def test_damaged_gzip(self, tmp_path: Path) -> None:
        image = make_dataset(tmp_path) / "sub-01_pet.nii.gz"
        content = bytearray(image.read_bytes())
        content[len(content) // 2] ^= 0xFF
        image.write_bytes(bytes(content))
        fault(tmp_path, ImageError, "damaged")

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_not_finite(self, tmp_path: Path, value: float) -> None:
        values = voxels().astype(np.float32)
        values[0, 0, 0, 1] = values[2, 3, 4, 1] = values[1, 1, 1, 3] = value
        make_dataset(tmp_path, image=values)
        fault(tmp_path, ImageError, "2 in frame 2, 1 in frame 4")

    def test_two_images_of_one_name(self, tmp_path: Path) -> None:
        write_image(make_dataset(tmp_path) / "sub-01_pet.nii", voxels())
        fault(tmp_path, InputError, "2 images", "Keep one")

    def test_five_dimensions(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, image=voxels((3, 4, 5, 4, 2)))
        fault(tmp_path, ImageError, "four dimensions")

    def test_complex_values(self, tmp_path: Path) -> None:
        image = make_dataset(tmp_path) / "sub-01_pet.nii.gz"
        nibabel.save(nibabel.Nifti1Image(voxels().astype(np.complex64), AFFINE), image)
        fault(tmp_path, ImageError, "complex64")


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

    def test_unknown_decay_correction_is_assumed_aloud(self, tmp_path: Path) -> None:
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
    def test_dose_without_unit_is_left_out_aloud(self, tmp_path: Path, unit: str | None) -> None:
        make_dataset(tmp_path, {"InjectedRadioactivityUnits": unit})
        ingested = ingest(tmp_path)
        assert ingested.scan.acquisition.injected_activity is None
        assert any("SUV is unavailable" in warning for warning in ingested.warnings)

    def test_weight_without_unit_is_kilograms_aloud(self, tmp_path: Path) -> None:
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


class TestBlood:
    def test_values_in_canonical_units_and_in_the_order_of_the_file(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        (recording,) = ingest(tmp_path).blood
        assert (recording.name, recording.arterial) == ("manual", True)
        np.testing.assert_array_equal(recording.time, [0, 30, 20])
        np.testing.assert_allclose(recording.whole_blood, [0, 2500, 1500])
        np.testing.assert_array_equal(recording.plasma, [0, 3000, np.nan])
        np.testing.assert_array_equal(recording.parent_fraction, [np.nan, 0.9, 0.95])

    def test_other_units_of_time_and_fraction(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        units = BLOOD | {"time": {"Units": "min"}, "metabolite_parent_fraction": {"Units": "%"}}
        write(pet / "sub-01_recording-manual_blood.json", units)
        (recording,) = ingest(tmp_path).blood
        np.testing.assert_allclose(recording.time, [0, 1800, 1200])
        np.testing.assert_allclose(recording.parent_fraction[1:], [0.009, 0.0095])

    def test_venous_recordings_and_columns_are_not_arterial(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        write(pet / "sub-01_recording-manualvenous_blood.tsv", BLOOD_TABLE)
        write(pet / "sub-01_recording-manualvenous_blood.json", BLOOD)
        write(
            pet / "sub-01_recording-mixed_blood.tsv",
            "time\tplasma_radioactivity\tvenous_plasma_radioactivity\n0\t1\t2\n",
        )
        described = BLOOD | {"venous_plasma_radioactivity": {"Units": "Bq/mL"}}
        write(pet / "sub-01_recording-mixed_blood.json", described)
        blood = {recording.name: recording for recording in ingest(tmp_path).blood}
        assert {name: recording.arterial for name, recording in blood.items()} == {
            "manual": True,
            "manualvenous": False,
            "mixed": True,
            "mixed-venous": False,
        }
        assert (blood["mixed"].plasma, blood["mixed-venous"].plasma) == ([1], [2])

    @pytest.mark.parametrize(
        ("description", "arterial"), [("Venous plasma", False), ("Plasma", True), ("Arterialised venous plasma", True)]
    )
    def test_descriptions_tell_venous_samples(self, tmp_path: Path, description: str, arterial: bool) -> None:
        plasma = {"Description": description, "Units": "Bq/mL"}
        units = BLOOD | {"plasma_radioactivity": plasma}
        write(make_dataset(tmp_path) / "sub-01_recording-manual_blood.json", units)
        assert ingest(tmp_path).blood[0].arterial is arterial

    def test_missing_sidecar(self, tmp_path: Path) -> None:
        (make_dataset(tmp_path) / "sub-01_recording-manual_blood.json").unlink()
        fault(tmp_path, MissingInputError, "units are unknown", "Add", "sub-01_recording-manual_blood.json")

    @pytest.mark.parametrize("column", ["time", "plasma_radioactivity", "metabolite_parent_fraction"])
    @pytest.mark.parametrize("described", [None, {"Description": "no unit"}, {"Units": "furlong"}])
    def test_unit_missing_or_unknown(self, tmp_path: Path, column: str, described: dict[str, str] | None) -> None:
        write(make_dataset(tmp_path) / "sub-01_recording-manual_blood.json", BLOOD | {column: described})
        fault(tmp_path, UnitError, column, "sub-01_recording-manual_blood.json")

    @pytest.mark.parametrize(
        ("table", "kind", "word"),
        [
            ("", InputError, "empty"),
            ("time\tplasma_radioactivity\n", BloodError, "no samples"),
            ("time\tplasma_radioactivity\nn/a\t3\n", BloodError, "data row 1 has no time"),
            ("time\tplasma_radioactivity\n0\t3,5\n", InputError, "'3,5' in column 'plasma_radioactivity', data row 1"),
            ("time\tplasma_radioactivity\n0\n", InputError, "1 cells"),
            ("plasma_radioactivity\n3\n", InputError, "'time' is missing"),
            ("time\tactivity\n0\t3\n", BloodError, "whole_blood_radioactivity"),
            ("time\ttime\n0\t3\n", InputError, "duplicate"),
        ],
    )
    def test_unreadable_tables(self, tmp_path: Path, table: str, kind: type[DlifError], word: str) -> None:
        write(make_dataset(tmp_path) / "sub-01_recording-manual_blood.tsv", table)
        fault(tmp_path, kind, word, "sub-01_recording-manual_blood.tsv")


LABELS = np.zeros((3, 4, 5), dtype=np.int16)
LABELS[0], LABELS[1, :2], LABELS[2, 3, 4] = 4, 9, 300


class TestRegions:
    def write_labels(self, root: Path, labels: np.ndarray = LABELS, affine: np.ndarray = AFFINE) -> Path:
        folder = root / "derivatives" / "seg" / "sub-01"
        write(folder / "sub-01_dseg.tsv", "index\tname\n0\tBackground\n4\tliver\n9\tbrain\n300\ttumour\n")
        return write_image(folder / "sub-01_dseg.nii.gz", labels, affine=affine)

    def test_without_labels_the_whole_image_is_the_region(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        regions = ingest(tmp_path).scan.regions
        assert regions.names == ("whole image",)
        np.testing.assert_allclose(regions.activity[0], ACTIVITY.mean(axis=(1, 2, 3)))
        np.testing.assert_allclose(regions.volume, [60 * 24.0])

    def test_means_in_every_label(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        self.write_labels(tmp_path)
        ingested = ingest(tmp_path)
        regions = ingested.scan.regions
        assert regions.names == ("liver", "brain", "tumour")
        for label, found in zip((4, 9, 300), regions.activity, strict=True):
            np.testing.assert_allclose(found, ACTIVITY[:, label == LABELS.T].mean(axis=1))
        np.testing.assert_allclose(regions.volume, np.array([20, 10, 1]) * 24.0)
        np.testing.assert_array_equal(ingested.scan.labels, LABELS.T)
        assert ingested.scan.label_names[9] == "brain"
        assert ingested.provenance["regions"]["made_from"] == "label image"

    def test_means_do_not_depend_on_the_slabs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dlif_core.ingest.regions._SLAB_VALUES", 100)
        make_dataset(tmp_path)
        self.write_labels(tmp_path)
        found = ingest(tmp_path).scan.regions.activity[1]
        np.testing.assert_allclose(found, ACTIVITY[:, LABELS.T == 9].mean(axis=1))

    def test_labels_without_name_are_numbered_aloud(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        self.write_labels(tmp_path).with_name("sub-01_dseg.tsv").unlink()
        ingested = ingest(tmp_path)
        assert ingested.scan.regions.names == ("label-4", "label-9", "label-300")
        assert any("4, 9, 300" in warning for warning in ingested.warnings)

    @pytest.mark.parametrize(
        ("labels", "shift", "word"),
        [
            (LABELS[:2], 0, "another grid"),
            (LABELS, 3, "another grid"),
            (LABELS + np.float32(0.5), 0, "whole numbers"),
            (0 * LABELS, 0, "all zero"),
        ],
    )
    def test_label_images_that_do_not_fit(self, tmp_path: Path, labels: np.ndarray, shift: float, word: str) -> None:
        make_dataset(tmp_path)
        affine = AFFINE.copy()
        affine[0, 3] += shift
        self.write_labels(tmp_path, labels, affine)
        fault(tmp_path, ImageError, word, "sub-01_dseg.nii.gz")

    def test_the_label_image_goes_before_the_table(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        self.write_labels(tmp_path)
        write_curves(tmp_path, curve_table(liver=[1, 2, 3, 4]))
        ingested = ingest(tmp_path)
        assert ingested.scan.regions.names == ("liver", "brain", "tumour")
        assert any("is not used" in warning for warning in ingested.warnings)

    def test_a_table_serves_without_label_image(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path, {"ImageDecayCorrectionTime": 6586.2})
        write_curves(tmp_path, curve_table(liver=[1, 2, 3, 4], bone=[1, 2, 3, -4]))
        write_curves(tmp_path, "name\tvolume-mm3\nliver\t30\n", "sub-01_desc-seg_morph.tsv")
        (pet / "sub-01_pet.nii.gz").unlink()
        ingested = ingest(tmp_path)
        assert ingested.scan.activity is None
        assert ingested.header == b""
        np.testing.assert_allclose(ingested.scan.regions.activity, [[2e3, 4e3, 6e3, 8e3], [2e3, 4e3, 6e3, -8e3]])
        np.testing.assert_array_equal(ingested.scan.regions.volume, [30, np.nan])
        assert any("taken to be in kBq/mL" in warning for warning in ingested.warnings)

    def test_the_table_states_its_own_units(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        table = "frame_start\tframe_end\tliver\n0\t0.16666667\t1\n.16666667\t.5\t2\n.5\t1\t3\n1\t3\t4\n"
        path = write_curves(tmp_path, table)
        minutes = {"Units": "min"}
        write(path.with_suffix(".json"), {"Units": "Bq/mL", "frame_start": minutes, "frame_end": minutes})
        ingested = ingest(tmp_path)
        np.testing.assert_allclose(ingested.scan.regions.activity, [[1, 2, 3, 4]])
        assert ingested.warnings == ()

    def test_numbered_columns_get_their_names(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        write_curves(tmp_path, curve_table(**{"4": [1, 2, 3, 4], "9": [1, 2, 3, 4]}))
        write_curves(tmp_path, "index\tname\n4\tliver\n", "sub-01_desc-seg_dseg.tsv")
        assert ingest(tmp_path).scan.regions.names == ("liver", "9")

    def test_regions_that_are_not_finite_are_dropped_aloud(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        write_curves(tmp_path, curve_table(liver=[1, 2, 3, 4], brain=[1, math.nan, 3, 4]))
        ingested = ingest(tmp_path)
        assert ingested.scan.regions.names == ("liver",)
        assert any("left out: brain" in warning for warning in ingested.warnings)

    @pytest.mark.parametrize(
        ("table", "kind", "word"),
        [
            (
                curve_table(liver=[1, 2, 3, 4]).replace("60.0\t180.0", "60.0\t190.0"),
                FrameTimingError,
                "frame 4 is 60 to 190",
            ),
            ("frame_start\tframe_end\tliver\n0\t10\t1\n", FrameTimingError, "1 frames, the scan 4"),
            (curve_table(liver=[math.nan] * 4), CurveError, "no region"),
            (curve_table(), CurveError, "no region"),
            ("start\tend\tliver\n0\t10\t1\n", InputError, "'frame_start' and 'frame_end' is missing"),
        ],
    )
    def test_bad_tables(self, tmp_path: Path, table: str, kind: type[DlifError], word: str) -> None:
        make_dataset(tmp_path)
        write_curves(tmp_path, table)
        fault(tmp_path, kind, word, "sub-01_desc-seg_tacs.tsv")

    def test_several_tables_ask_for_a_choice(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        for name in ("seg", "wm"):
            write_curves(tmp_path, curve_table(liver=[1, 2, 3, 4]), f"sub-01_desc-{name}_tacs.tsv")
        fault(tmp_path, InputError, "desc-seg_tacs.tsv", "desc-wm_tacs.tsv", "`curves`")

    def test_groups_are_volume_weighted_means(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        self.write_labels(tmp_path)
        groups = {"soft": ("li*", "brain"), "none": ("kidney*",), "lesion": ("tumour", "bone")}
        ingested = ingest(tmp_path, groups)
        regions = ingested.scan.regions
        assert regions.names == ("soft", "lesion", "liver", "brain", "tumour")
        inside = (LABELS.T == 4) | (LABELS.T == 9)
        np.testing.assert_allclose(regions.activity[0], ACTIVITY[:, inside].mean(axis=1))
        np.testing.assert_allclose(regions.volume[:2], [30 * 24, 24])
        assert [w for w in ingested.warnings if "matches no region" in w] == [
            "Region group 'none': 'kidney*' matches no region.",
            "Region group 'lesion': 'bone' matches no region.",
        ]

    def test_a_group_without_volumes_is_a_plain_mean_aloud(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        write_curves(tmp_path, curve_table(a=[1, 1, 1, 1], b=[3, 3, 3, 3]))
        ingested = ingest(tmp_path, {"both": ("*",)})
        np.testing.assert_allclose(ingested.scan.regions.activity[0], 2000)
        assert any("plain mean" in warning for warning in ingested.warnings)

    def test_a_group_must_not_take_the_name_of_a_region(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        with pytest.raises(InputError, match="'whole image' has the name of a region"):
            ingest(tmp_path, {"whole image": ("*",)})


def test_frames_of_the_scan(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    timing = ingest(tmp_path).scan.timing
    np.testing.assert_array_equal(timing.start, START)
    np.testing.assert_array_equal(timing.duration, DURATION)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_geometry_is_read_from_the_header_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    values = np.random.default_rng(0).random((14, 15, 16, 7), np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([0.5, 0.6, 0.7, 1])), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    shape, voxel_size = image_geometry(str(path))
    assert shape == (7, 16, 15, 14)
    assert voxel_size == pytest.approx((0.7, 0.6, 0.5))
    path.write_bytes(whole[:20])
    with pytest.raises(ImageError, match="header"):
        image_geometry(str(path))
