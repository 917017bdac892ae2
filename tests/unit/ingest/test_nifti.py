"""NIfTI images."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from dlif_core.errors import ImageError
from dlif_core.ingest.nifti import image_geometry


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
