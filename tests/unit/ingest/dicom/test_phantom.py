"""One phantom in every form that is read: the same activity, places and times."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dlif_core.ingest import find_scans, image_geometry, open_scan
from tests.unit.ingest.dicom.reading import described
from tests.unit.ingest.dicom.series import (
    ACTIVITY,
    COLUMNS,
    CORNER,
    DURATION,
    GAP,
    ROWS,
    SLICES,
    SLOPES,
    SPACING,
    START,
    STORED,
    enhanced,
    pmod,
    write_series,
)

AFFINE = np.array(
    [
        [-SPACING[1], 0, 0, -CORNER[0]],
        [0, -SPACING[0], 0, -CORNER[1]],
        [0, 0, GAP, CORNER[2]],
        [0, 0, 0, 1],
    ]
)
TILT = np.deg2rad(20.0)
TURN = np.deg2rad(35.0)
OBLIQUE = (np.cos(TURN), np.sin(TURN), 0.0, -np.sin(TURN) * np.cos(TILT), np.cos(TURN) * np.cos(TILT), np.sin(TILT))
ORIENTATIONS = {
    "transverse": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "head at the left": (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "face down": (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
    "sagittal": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
    "coronal": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0),
    "oblique": OBLIQUE,
}


def frames_of_file(folder: Path) -> list[Path]:
    """The phantom as PMOD writes it in several files: one for each frame."""
    written = []
    for frame in range(len(START)):

        def one(dataset: Dataset, frame: int = frame) -> None:
            block = dataset.private_block(0x0055, "PMOD_1")
            block[0x01].value, block[0x04].value = START[frame], 1000 * DURATION[frame]
            block[0x05].value = SLOPES[frame, 0]
            dataset.NumberOfFrames, dataset.InstanceNumber = SLICES, frame + 1
            dataset.SeriesInstanceUID = "1.2.3.4"
            dataset.PixelData = STORED[frame].tobytes()

        written.append(pmod(folder, one).rename(folder / f"frame{frame}.dcm"))
    return written


@pytest.mark.parametrize(
    ("write", "activity"),
    [
        (write_series, ACTIVITY),
        (enhanced, ACTIVITY),
        (pmod, STORED * SLOPES[:, 0, None, None, None]),
        (frames_of_file, STORED * SLOPES[:, 0, None, None, None]),
    ],
)
def test_a_scan_is_the_phantom(tmp_path: Path, write: Callable[[Path], object], activity: np.ndarray) -> None:
    write(tmp_path / "mouse 1" / "pet")
    (files,) = find_scans(str(tmp_path))
    with open_scan(files) as read:
        assert read.scan.activity is not None
        np.testing.assert_array_equal(read.scan.activity[...], activity.astype(np.float32))
        np.testing.assert_allclose(read.scan.affine, AFFINE, atol=1e-6)
        assert read.scan.timing.start.tolist() == START.tolist()
        assert read.scan.timing.duration.tolist() == DURATION.tolist()
        assert (read.scan.acquisition.tracer, read.scan.acquisition.injected_activity) == ("FDG", 10e6)
        assert read.scan.acquisition.body_weight == 0.025
        assert [finding.check for finding in read.findings] == ["whole-image"]
        assert read.provenance["acquisition"]["Manufacturer"] == "SIEMENS"
    geometry = image_geometry(files)
    assert geometry is not None
    assert geometry.shape == activity.shape
    assert np.allclose(geometry.voxel_size, (GAP, *SPACING))


def test_a_series_that_highdicom_converted_is_the_same(tmp_path: Path) -> None:
    """Legacy Converted Enhanced PET: the old elements lie in sequences of the new functional groups."""
    legacy = pytest.importorskip("highdicom.legacy", reason="highdicom is not installed")

    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID, dataset.StudyID = "1.2.3", "1.2.4", "1"
        dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "20240506", "100000", "1"
        dataset.ContentDate, dataset.ContentTime = "20240506", "100000"
        dataset.PatientSex, dataset.ReferringPhysicianName = "F", ""
        dataset.ImageType, dataset.PatientPosition = ["ORIGINAL", "PRIMARY"], "HFS"

    slices = [pydicom.dcmread(path) for path in write_series(tmp_path / "slices", edit)]
    made = legacy.LegacyConvertedEnhancedPETImage(slices, generate_uid(), 3, generate_uid(), 1)
    (tmp_path / "converted").mkdir()
    made.save_as(tmp_path / "converted" / "all.dcm")
    before, after = described(tmp_path / "slices"), described(tmp_path / "converted")
    assert after.fields == before.fields
    np.testing.assert_array_equal(after.image, before.image)
    np.testing.assert_allclose(after.affine, before.affine)


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_every_voxel_lies_where_another_program_puts_it(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")

    written = write_series(tmp_path / "scan", ImageOrientationPatient=list(map(float, orientation)))
    mine = described(tmp_path)
    first = {path: header for path in written if (header := _first_frame(path)) is not None}
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in sorted(first, key=lambda path: first[path])])
    other = reader.Execute()
    values = sitk.GetArrayFromImage(other)
    for index in ((0, 0, 0), (COLUMNS - 1, 0, 0), (0, ROWS - 1, 0), (2, 1, SLICES - 1), (3, 2, 1)):
        left, back, head = other.TransformIndexToPhysicalPoint(index)
        voxel = np.linalg.solve(mine.affine, [-left, -back, head, 1.0])[:3]
        x, y, z = np.rint(voxel).astype(int)
        np.testing.assert_allclose(voxel, (x, y, z), atol=1e-3)
        assert mine.image[0, z, y, x] == pytest.approx(float(values[index[::-1]]), rel=1e-6)


def _first_frame(path: Path) -> float | None:
    dataset = pydicom.dcmread(path)
    if dataset.FrameReferenceTime != 1000 * DURATION[0] / 2:
        return None
    axes = np.array(dataset.ImageOrientationPatient, dtype=float)
    return float(np.cross(axes[:3], axes[3:]) @ np.array(dataset.ImagePositionPatient, dtype=float))


def test_left_is_left(tmp_path: Path) -> None:
    """The first column lies at the patient's right in a transverse slice of a patient on the back."""
    write_series(tmp_path)
    mine = described(tmp_path)
    assert nibabel.aff2axcodes(mine.affine) == ("L", "P", "S")
    assert (mine.affine @ [0, 0, 0, 1])[0] > (mine.affine @ [COLUMNS - 1, 0, 0, 1])[0]


@pytest.mark.parametrize("orientation", [ORIENTATIONS["transverse"], ORIENTATIONS["oblique"]])
def test_dcm2niix_makes_the_same_image(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    program = shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed")
    write_series(tmp_path / "scan", ImageOrientationPatient=list(map(float, orientation)))
    (tmp_path / "nii").mkdir()
    command = [program, "-o", str(tmp_path / "nii"), "-f", "pet", "-z", "n", str(tmp_path / "scan")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    other = nibabel.load(tmp_path / "nii" / "pet.nii")
    mine = described(tmp_path / "scan")
    values, affine = other.get_fdata(), other.affine
    sidecar = json.loads((tmp_path / "nii" / "pet.json").read_text())
    for name in ("FrameTimesStart", "FrameDuration", "FrameReferenceTime", "RadionuclideHalfLife", "DecayCorrection"):
        assert mine.fields[name] == sidecar[name]
    assert mine.fields["InjectedRadioactivity"] == sidecar["RadionuclideTotalDose"]
    for index in np.ndindex(*values.shape[:3]):
        at = np.linalg.solve(mine.affine, affine @ [*index, 1.0])[:3]
        x, y, z = np.rint(at).astype(int)
        np.testing.assert_allclose(at, (x, y, z), atol=1e-3)
        np.testing.assert_allclose(mine.image[:, z, y, x], values[index], rtol=1e-6)


def test_the_study_is_known_so_that_exports_stand_beside_the_images(tmp_path: Path) -> None:
    write_series(tmp_path / "pet", StudyInstanceUID="1.2.3.4", FrameOfReferenceUID="1.2.3.5")
    write_series(tmp_path / "odd", StudyInstanceUID="Doe^Jane", number=2)
    odd, pet = find_scans(str(tmp_path))
    with open_scan(pet) as read:
        assert read.provenance["identity"] == {"StudyInstanceUID": "1.2.3.4", "FrameOfReferenceUID": "1.2.3.5"}
    with open_scan(odd) as read:
        assert "identity" not in read.provenance
