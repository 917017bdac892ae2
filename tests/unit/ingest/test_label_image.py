"""Label images for scans of any format: curves, grids against SimpleITK, DICOM Segmentation, and what is refused."""

import re
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
import yaml

from dlif_core.errors import DlifError, ImageError, InputError, MissingInputError
from dlif_core.ingest import find_scans, open_scan
from dlif_core.ingest.conversion import ConvertingReader
from dlif_core.ingest.converting import convert_scan, found_for_conversion
from dlif_core.ingest.label_grid import on_grid
from dlif_core.ingest.label_image import read_label_image
from dlif_core.ingest.label_options import LabelOptions
from dlif_core.ingest.registry import deciding_facts
from dlif_core.study.config import load_study, parse_study
from dlif_core.study.scans import included_scans
from tests.unit.ingest.bids.dataset import make_dataset
from tests.unit.ingest.bids.opening import ACTIVITY
from tests.unit.ingest.dicom import series
from tests.unit.ingest.test_conversion import AFFINE, IMAGE, reader, write

__all__ = ["reader"]

PAGE = Path(__file__).parents[3] / "docs" / "regions.md"
LABELS = np.zeros(IMAGE.shape[1:], np.int16)
LABELS[:2], LABELS[2, 1:3], LABELS[3, 0, 0] = 4, 9, 300
NAMES = "index\tname\n4\tliver\n9\tbrain\n300\ttumour\n"


class Image:
    """A grid."""

    def __init__(self, shape: tuple[int, ...], affine: np.ndarray) -> None:
        self.shape, self.affine = (1, *shape), affine


def save(path: Path, labels: np.ndarray, affine: np.ndarray = AFFINE) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(labels.T, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return str(path)


def study(root: Path, **data: Any) -> Any:
    given = "".join(f", {name}: {value}" for name, value in data.items())
    path = root / "study.yaml"
    path.write_text(f"name: a\ndata: {{uri: data{given}}}\noutput: out\n")
    return load_study(path)


def only(root: Path, **data: Any) -> Any:
    (files,) = included_scans(study(root, **data)).values()
    return files


class TestAnyFormat:
    def test_has_the_curves_of_its_label_image(self, reader: ConvertingReader, tmp_path: Path) -> None:
        write(tmp_path / "data", "m1")
        path = save(tmp_path / "labels" / "sub-m1.nii.gz", LABELS)
        (tmp_path / "names.tsv").write_text(NAMES)
        files = only(tmp_path, format="series", labels='"labels/{subject}.nii.gz"', label_names="names.tsv")
        assert {path, str(tmp_path / "names.tsv")} <= set(files.inputs().values())
        with open_scan(files) as read:
            regions = read.scan.regions
            assert regions.names == ("liver", "brain", "tumour")
            for label, found in zip((4, 9, 300), regions.activity, strict=True):
                np.testing.assert_allclose(found, 1000 * IMAGE[:, label == LABELS].mean(axis=1), rtol=1e-6)
            assert regions.source == path
            np.testing.assert_array_equal(read.scan.labels, LABELS)

    def test_is_written_with_its_regions(self, reader: ConvertingReader, tmp_path: Path) -> None:
        write(tmp_path / "data", "m1")
        flipped = AFFINE @ np.array([[-1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        path = save(tmp_path / "atlas.nii.gz", LABELS[..., ::-1], flipped)
        (tmp_path / "names.tsv").write_text(NAMES)
        (files,) = found_for_conversion(str(tmp_path / "data"), labels=path, label_names=str(tmp_path / "names.tsv"))
        assert convert_scan(files, tmp_path / "bids").written
        (written,) = find_scans(str(tmp_path / "bids"))
        with open_scan(written) as stored, open_scan(files) as read:
            assert stored.scan.regions.names == read.scan.regions.names == ("liver", "brain", "tumour")
            np.testing.assert_allclose(stored.scan.regions.activity, read.scan.regions.activity)
            np.testing.assert_array_equal(stored.scan.labels, LABELS)

    def test_lacks_what_is_not_there(self, reader: ConvertingReader, tmp_path: Path) -> None:
        write(tmp_path / "data", "m1")
        files = only(tmp_path, format="series", labels='"{data}/{scan}_dseg.nii.gz"')
        with pytest.raises(MissingInputError) as fault, open_scan(files):
            pass
        assert fault.value.where == str(tmp_path / "data" / "sub-m1_dseg.nii.gz")

    def test_is_stale_where_the_options_change(self, reader: ConvertingReader, tmp_path: Path) -> None:
        write(tmp_path / "data", "m1")
        plain, named, resampled = (
            deciding_facts(only(tmp_path, format="series", **data))
            for data in ({}, {"labels": "a.nii"}, {"labels": "a.nii", "resample_labels": "true"})
        )
        assert plain != named != resampled

    def test_refuses_unknown_placeholders(self, reader: ConvertingReader, tmp_path: Path) -> None:
        with pytest.raises(DlifError, match=r"\{name\} is no placeholder"):
            study(tmp_path, format="series", labels='"{name}.nii"')

    def test_a_link_beside_the_label_images_leads_nowhere_else(self, reader: ConvertingReader, tmp_path: Path) -> None:
        write(tmp_path / "data", "m1")
        save(tmp_path / "elsewhere" / "a.nii", LABELS)
        (tmp_path / "labels").mkdir()
        (tmp_path / "labels" / "sub-m1.nii").symlink_to(tmp_path / "elsewhere" / "a.nii")
        files = only(tmp_path, format="series", labels='"labels/{scan}.nii"')
        with pytest.raises(InputError, match="link that leads out"), open_scan(files):
            pass

    def test_a_table_of_scans_may_lie_beside_the_data(self, reader: ConvertingReader, tmp_path: Path) -> None:
        write(tmp_path / "data", "m1")
        (tmp_path / "scans.tsv").write_text("source\tparticipant_id\n*\tx\n")
        with open_scan(only(tmp_path, format="series", table="scans.tsv")) as read:
            assert read.scan.activity is not None

    def test_pet_bids_takes_the_named_image_in_place_of_its_own(self, tmp_path: Path) -> None:
        make_dataset(tmp_path / "data")
        affine = nib.load(tmp_path / "data/sub-01/pet/sub-01_pet.nii.gz").affine
        own = tmp_path / "data" / "derivatives" / "x" / "sub-01" / "sub-01_dseg.nii.gz"
        save(own, np.ones(ACTIVITY.shape[1:], np.int16), affine)
        labels = np.zeros(ACTIVITY.shape[1:], np.int16)
        labels[0] = 5
        save(tmp_path / "mine" / "sub-01.nii.gz", labels, affine)
        files = only(tmp_path, format="pet-bids", labels='"mine/{scan}.nii.gz"')
        with open_scan(files) as read:
            assert read.scan.regions.names == ("label-5",)
            np.testing.assert_allclose(read.scan.regions.activity[0], ACTIVITY[:, 0].mean(axis=(1, 2)))


def oblique() -> np.ndarray:
    """Affine of an oblique grid with unequal edges [mm]."""
    angles = np.radians([20.0, -35.0, 50.0])
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        one, two = [number for number in range(3) if number != axis]
        step = np.eye(3)
        step[one, one] = step[two, two] = np.cos(angle)
        step[one, two], step[two, one] = -np.sin(angle), np.sin(angle)
        turn = turn @ step
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-0.7, 1.1, 0.9])
    middle = AFFINE @ [4, 3.5, 3, 1]
    affine[:3, 3] = middle[:3] - affine[:3, :3] @ [8.2, 7.1, 6.9]
    return affine


def itk_image(values: np.ndarray, affine: np.ndarray) -> Any:
    """An image of SimpleITK, which counts to the left and the back; shape (z, y, x)."""
    sitk = pytest.importorskip("SimpleITK")
    to_lps = np.diag([-1.0, -1.0, 1.0]) @ affine[:3]
    edges = np.linalg.norm(to_lps[:, :3], axis=0)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(edges.tolist())
    image.SetDirection((to_lps[:, :3] / edges).ravel().tolist())
    image.SetOrigin(to_lps[:, 3].tolist())
    return image


class TestOtherGrids:
    def test_nearest_neighbour_is_that_of_simpleitk(self) -> None:
        sitk = pytest.importorskip("SimpleITK")
        labels = np.random.default_rng(3).integers(0, 5, (14, 16, 18)).astype(np.int32)
        grid = Image((7, 8, 9), AFFINE)
        blank = itk_image(np.zeros(grid.shape[1:], np.int32), AFFINE)
        truth = sitk.Resample(
            itk_image(labels, oblique()), blank, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkInt32
        )
        found = on_grid(labels, oblique(), grid, "labels", resample=True)
        assert found.resampled
        assert 0.2 < found.covered < 1
        np.testing.assert_array_equal(found.values, sitk.GetArrayFromImage(truth))

    def test_axes_in_another_order_are_put_right_without_being_asked(self) -> None:
        turned = np.moveaxis(LABELS, (0, 1, 2), (2, 0, 1))[:, ::-1]
        step = np.zeros((4, 4))  # index (x, y, z) of the turned image to that of LABELS
        step[0, 1], step[1, 2], step[2, 0], step[3, 3] = -1, 1, 1, 1
        step[0, 3] = LABELS.shape[2] - 1
        found = on_grid(turned, AFFINE @ step, Image(LABELS.shape, AFFINE), "labels")
        assert not found.resampled
        np.testing.assert_array_equal(found.values, LABELS)

    def test_labels_elsewhere_are_refused(self, tmp_path: Path) -> None:
        far = AFFINE.copy()
        far[:3, 3] += 500
        path = save(tmp_path / "a.nii", LABELS, far)
        for resample, words in ((False, "resample_labels: true"), (True, "does not cover the PET image at all")):
            with pytest.raises(ImageError, match=words):
                read_label_image(path, (), Image(LABELS.shape, AFFINE), resample=resample)

    def test_resampling_is_told_with_what_is_lost(self, reader: ConvertingReader, tmp_path: Path) -> None:
        write(tmp_path / "data", "m1")
        fine = np.repeat(np.repeat(np.repeat(LABELS, 3, 0), 3, 1), 3, 2)
        fine[0, 0, 0] = 77  # a corner that holds no centre of a voxel
        step = np.diag([1 / 3, 1 / 3, 1 / 3, 1.0])
        step[:3, 3] = -1 / 3
        save(tmp_path / "a.nii", fine, AFFINE @ step)
        with open_scan(only(tmp_path, format="series", labels="a.nii", resample_labels="true")) as read:
            np.testing.assert_array_equal(read.scan.labels, LABELS)
            told = [finding.message for finding in read.findings if finding.check == "label-image"]
            assert len(told) == 1
            assert "100.0% of the image" in told[0]
            assert told[0].endswith("no voxel has any more: 77.")
            assert "resampled" in str(read.provenance["regions"])


def test_ids_beyond_32_bits_keep_their_names_and_numbers(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path / "data", "m1")
    ids = np.zeros(LABELS.shape, np.uint32)
    ids[:2], ids[2] = 3_000_000_000, 997
    save(tmp_path / "a.nii", ids)
    (tmp_path / "names.csv").write_text('id,name\n3000000000,"cortex, layer 1"\n')
    with open_scan(only(tmp_path, format="series", labels="a.nii", label_names="names.csv")) as read:
        assert read.scan.regions.names == ("label-997", "cortex, layer 1")
        assert read.provenance["regions"]["labels renumbered"] == {"1": "997", "2": "3000000000"}
        assert any(finding.check == "label-image" for finding in read.findings)


#: Elements that highdicom copies from the images into a segmentation.
_NEEDED = ("PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName")


class TestDicomSegmentation:
    def write(self, root: Path, labels: np.ndarray, **edits: Any) -> Path:
        """Segments of the planes of a PET series, written by highdicom."""
        frames = [pydicom.dcmread(path) for path in sorted(root.glob("*.dcm"))]
        places = {float(frame.ImagePositionPatient[2]): frame for frame in frames}
        planes = [places[place] for place in sorted(places)]
        for plane in planes:
            plane.FrameOfReferenceUID = "1.2.3"
            plane.StudyInstanceUID, plane.SeriesInstanceUID = "1.2.4", "1.2.5"
            for name in _NEEDED:
                setattr(plane, name, getattr(plane, name, ""))
        code = hd.sr.CodedConcept("85756007", "SCT", "Tissue")
        segments = [
            hd.seg.SegmentDescription(number, name, code, code, hd.seg.SegmentAlgorithmTypeValues.MANUAL)
            for number, name in ((1, "liver"), (2, "brain"))
        ]
        made = hd.seg.Segmentation(
            planes, labels, hd.seg.SegmentationTypeValues.BINARY, segments, hd.UID(), 9, hd.UID(), 1, "a", "b", "c", "d"
        )
        path = root.parent / "seg.dcm"
        made.save_as(path)
        return path

    def test_gives_the_regions_of_a_dicom_series(self, tmp_path: Path) -> None:
        series.write_series(tmp_path / "data" / "pet")
        labels = np.zeros(series.ACTIVITY.shape[1:], np.uint8)
        labels[1], labels[2, :2, :3] = 1, 2  # the first and the last plane hold none
        self.write(tmp_path / "data" / "pet", labels).rename(tmp_path / "seg.dcm")
        with open_scan(only(tmp_path, format="dicom", labels="seg.dcm")) as read:
            assert read.scan.regions.names == ("liver", "brain")
            for number, found in zip((1, 2), read.scan.regions.activity, strict=True):
                np.testing.assert_allclose(found, series.ACTIVITY[:, labels == number].mean(axis=1), rtol=1e-6)

    def test_other_dicom_is_refused(self, tmp_path: Path) -> None:
        series.write_series(tmp_path / "data" / "pet")
        path = next((tmp_path / "data" / "pet").glob("*.dcm"))
        with pytest.raises(ImageError, match="no Segmentation"):
            read_label_image(str(path), (), Image((4, 5, 6), AFFINE))


def test_options_of_labels_are_those_of_all_formats() -> None:
    assert set(LabelOptions.model_fields) == {"labels", "label_names", "resample_labels"}


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL))
def test_the_examples_of_the_page_are_studies(block: str, tmp_path: Path) -> None:
    content = {"name": "a", "data": "data", "output": "out"} | yaml.safe_load(block)
    assert parse_study(content, where=str(tmp_path / "study.yaml"))
