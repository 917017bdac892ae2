"""Opening a scan with an image: values known from what was written, faults in words."""

import gzip
import json
import tracemalloc
from pathlib import Path

import fsspec
import nibabel
import numpy as np
import pytest

from dlif_core.errors import (
    FrameTimingError,
    ImageError,
    InputError,
    MissingInputError,
)
from dlif_core.ingest import find_scans
from dlif_core.ingest.bids.scan import open_scan
from tests.unit.ingest.bids.dataset import (
    AFFINE,
    make_dataset,
    voxels,
    write_image,
)
from tests.unit.ingest.bids.opening import ACTIVITY, fault, ingest


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
            (b"<!DOCTYPE html>" * 9, "a web page"),
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
