"""DICOM through pydicom (geometry worked out from the standard's formula) and SimpleITK."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dlif_core.errors import ImageError
from dlif_core.export.dicom import DICOM, content_label
from tests.unit.export.products import HOT, SHAPE, affine, exported_scan, exported_study, labels, maps

NAMES = {"segmentation.dcm", "patlak_Ki.dcm", "patlak_Ki_se.dcm"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    DICOM.export(exported_study(), folder)
    return folder / "dicom" / "sub-m01"


def in_place(dataset: pydicom.Dataset) -> Callable[[int, int, int], np.ndarray]:
    """Place of a frame's pixel (frame, row, column) in RAS [mm], by equation C.7.6.2.1-1 of DICOM PS3.3."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    along_row, along_column = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)

    def place(frame: int, row: int, column: int) -> np.ndarray:
        groups = dataset.PerFrameFunctionalGroupsSequence[frame]
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        found = position + along_row * between_columns * column + along_column * between_rows * row
        return found * [-1, -1, 1]

    return place


def grid(dataset: pydicom.Dataset, frames: range) -> np.ndarray:
    """Index (z, y, x) in the scan's image of every pixel, shape (frames, rows, columns, 3)."""
    place, back = in_place(dataset), np.linalg.inv(affine())
    shape = (len(frames), dataset.Rows, dataset.Columns)
    found = [
        (back @ [*place(frame, row, column), 1])[[2, 1, 0]]
        for frame in frames
        for row in range(shape[1])
        for column in range(shape[2])
    ]
    return np.array(found).reshape(*shape, 3)


class TestParametricMap:
    def test_every_voxel_has_its_value_in_its_place(self, root: Path) -> None:
        dataset = pydicom.dcmread(root / "patlak_Ki.dcm")
        assert int(dataset.NumberOfFrames) == SHAPE[0]
        pixels = dataset.pixel_array
        assert pixels.dtype == np.float32
        index = grid(dataset, range(SHAPE[0]))
        np.testing.assert_allclose(index, np.round(index), atol=1e-4)
        nearest = tuple(np.moveaxis(np.round(index).astype(int), -1, 0))
        np.testing.assert_array_equal(pixels, maps()["Ki"].to_numpy()[nearest])

    def test_the_hot_voxel_lies_where_the_affine_puts_it(self, root: Path) -> None:
        dataset = pydicom.dcmread(root / "patlak_Ki.dcm")
        hot = np.unravel_index(np.nanargmax(dataset.pixel_array), dataset.pixel_array.shape)
        expected = (affine() @ [*HOT[::-1], 1])[:3]
        np.testing.assert_allclose(in_place(dataset)(*map(int, hot)), expected, atol=1e-3)

    def test_units_are_ucum_and_numbers_are_as_stored(self, root: Path) -> None:
        dataset = pydicom.dcmread(root / "patlak_Ki.dcm")
        mapping = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
        unit = mapping.MeasurementUnitsCodeSequence[0]
        assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("mL.cm-3.min-1", "UCUM")
        assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1.0, 0.0)
        assert mapping.LUTLabel == "Ki"

    def test_the_reader_of_highdicom_has_the_same_volume(self, root: Path) -> None:
        import highdicom as hd

        volume = hd.imread(root / "patlak_Ki.dcm").get_volume(apply_real_world_transform=True)
        hot = np.unravel_index(np.nanargmax(volume.array), volume.array.shape)
        place = (volume.affine @ [*hot, 1])[:3] * [-1, -1, 1]
        np.testing.assert_allclose(place, (affine() @ [*HOT[::-1], 1])[:3], atol=1e-3)


class TestSegmentation:
    def test_segments_are_the_labels_in_their_places(self, root: Path) -> None:
        dataset = pydicom.dcmread(root / "segmentation.dcm")
        names = {one.SegmentNumber: (one.SegmentLabel, one.TrackingID) for one in dataset.SegmentSequence}
        assert names == {1: ("brain", "label 3"), 2: ("left ventricle", "label 7")}
        found = np.zeros(SHAPE, int)
        numbers = {1: 3, 2: 7}
        frames = range(int(dataset.NumberOfFrames))
        index = np.round(grid(dataset, frames)).astype(int)
        pixels = dataset.pixel_array.reshape(index.shape[:3])
        for frame in frames:
            groups = dataset.PerFrameFunctionalGroupsSequence[frame]
            segment = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
            found[tuple(index[frame][pixels[frame] > 0].T)] = numbers[segment]
        np.testing.assert_array_equal(found, labels())

    def test_itk_reads_masks_and_directions(self, root: Path) -> None:
        """ITK takes neither the distance of voxels nor the segment of a frame from a segmentation."""
        sitk = pytest.importorskip("SimpleITK")
        image = sitk.ReadImage(str(root / "segmentation.dcm"))
        dataset = pydicom.dcmread(root / "segmentation.dcm")
        np.testing.assert_array_equal(
            sitk.GetArrayFromImage(image) > 0, dataset.pixel_array.reshape(-1, *SHAPE[1:]) > 0
        )
        axes = affine()[:3, :3] / np.linalg.norm(affine()[:3, :3], axis=0) * [[-1], [-1], [1]]
        direction = np.reshape(image.GetDirection(), (3, 3))
        np.testing.assert_allclose(np.abs(np.sum(direction[:, :2] * axes[:, :2], axis=0)), 1, atol=1e-5)


class TestIdentity:
    def test_nothing_of_a_person_but_the_name_of_the_scan(self, root: Path) -> None:
        for path in root.iterdir():
            dataset = pydicom.dcmread(path)
            assert dataset.PatientID == "sub-m01"
            assert not any((dataset.PatientName, dataset.PatientBirthDate, dataset.PatientSex, dataset.StudyDate))
            assert "/data/mice" not in str(dataset)

    def test_the_same_result_has_the_same_bytes_and_others_have_others(self, root: Path, tmp_path: Path) -> None:
        DICOM.export(exported_study(), tmp_path)
        again = tmp_path / "dicom" / "sub-m01"
        assert {path.name for path in again.iterdir()} == NAMES
        assert all((again / name).read_bytes() == (root / name).read_bytes() for name in NAMES)
        instances = {pydicom.dcmread(root / name).SOPInstanceUID for name in NAMES}
        series = {pydicom.dcmread(root / name).SeriesInstanceUID for name in NAMES}
        studies = {pydicom.dcmread(root / name).StudyInstanceUID for name in NAMES}
        assert (len(instances), len(series), len(studies)) == (3, 3, 1)
        assert all(pydicom.uid.UID(one).is_valid for one in instances | series | studies)

    def test_a_study_that_the_provenance_names_is_kept(self, tmp_path: Path) -> None:
        named = exported_scan(provenance=json.loads('{"dicom": {"StudyInstanceUID": "1.2.3.4"}}'))
        DICOM.export(exported_study(named), tmp_path)
        assert pydicom.dcmread(tmp_path / "dicom/sub-m01/patlak_Ki.dcm").StudyInstanceUID == "1.2.3.4"

    def test_no_instance_refers_to_one_that_does_not_exist(self, root: Path) -> None:
        for path in root.iterdir():
            keywords = {element.keyword for element in pydicom.dcmread(path).iterall()}
            assert not keywords & {"ReferencedSOPInstanceUID", "SourceImageSequence"}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools, which check DICOM files, are not installed")
@pytest.mark.parametrize("name", sorted(NAMES))
def test_dicom3tools_find_no_error(root: Path, name: str) -> None:
    done = subprocess.run(["dciodvfy", "-new", str(root / name)], capture_output=True, text=True, timeout=60)
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []


def test_an_image_with_oblique_axes_is_refused(tmp_path: Path) -> None:
    sheared = affine()
    sheared[:3, 1] += 0.2 * sheared[:3, 0]
    scan = exported_scan()
    with pytest.raises(ImageError, match="not at right angles"):
        DICOM.export(exported_study(replace(scan, scan=replace(scan.scan, affine=sheared))), tmp_path)


def test_a_map_without_any_value_is_written(tmp_path: Path) -> None:
    empty = maps()
    empty["Ki"][:] = np.nan
    DICOM.export(exported_study(exported_scan(maps={"patlak": empty})), tmp_path)
    assert np.isnan(pydicom.dcmread(tmp_path / "dicom/sub-m01/patlak_Ki.dcm").pixel_array).all()


@pytest.mark.parametrize(
    ("variable", "label"),
    [
        ("Ki", "KI"),
        ("R1_corrected_by_us", "R1_CORRECTED_BY"),
        ("K1 / k2_", "K1_K2"),
        ("vB_standard_error", "VB_STANDARD_ERRO"),
    ],
)
def test_a_map_has_a_label_that_dicom_allows(variable: str, label: str) -> None:
    assert content_label(variable) == label
