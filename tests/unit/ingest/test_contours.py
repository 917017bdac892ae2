"""RT structures, written with pydicom from circles and boxes: voxels whose centres lie inside, by their equations."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from dlif_core.errors import ImageError
from dlif_core.ingest.label_image import read_label_image

SHAPE, EDGES = (6, 20, 22), (3.0, 1.6, 2.0)  # z, y, x
AFFINE = np.array([[-EDGES[2], 0, 0, 21], [0, -EDGES[1], 0, 14], [0, 0, EDGES[0], -4], [0, 0, 0, 1.0]])


class Image:
    shape, affine = (1, *SHAPE), AFFINE


def circle(place: tuple[float, float], radius: float, z: float) -> np.ndarray:
    """Points of a circle [mm, as NIfTI], shape (points, 3)."""
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    return np.stack([place[0] + radius * np.cos(angle), place[1] + radius * np.sin(angle), z + 0 * angle], axis=-1)


def places() -> np.ndarray:
    """Centres of the voxels [mm], shape (z, y, x, 3)."""
    index = np.stack([*np.indices(SHAPE)[::-1], np.ones(SHAPE)], axis=-1)
    return (index @ AFFINE.T)[..., :3]


def height(plane: float) -> float:
    return float(AFFINE[2, 3] + EDGES[0] * plane)


def write(path: Path, structures: dict[str, list[np.ndarray]], kind: str = "CLOSED_PLANAR", type_: str = "") -> str:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = (
        "1.2.840.10008.5.1.4.1.1.481.3",
        generate_uid(),
        "RTSTRUCT",
    )
    dataset.StructureSetROISequence, dataset.ROIContourSequence, dataset.RTROIObservationsSequence = [], [], []
    for number, (name, contours) in enumerate(structures.items(), start=1):
        roi, drawn, observed = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        observed.ReferencedROINumber, observed.RTROIInterpretedType = number, type_ if name == "body" else "ORGAN"
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for points in contours:
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = kind, len(points)
            contour.ContourData = [f"{value:.6g}" for value in (points * [-1, -1, 1]).ravel()]  # DICOM: left, back
            drawn.ContourSequence.append(contour)
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(drawn)
        dataset.RTROIObservationsSequence.append(observed)
    dataset.save_as(path, enforce_file_format=True)
    return str(path)


def test_voxels_are_those_whose_centres_lie_inside(tmp_path: Path) -> None:
    ring = [circle((8, 2), radius, height(plane)) for plane in (1, 2, 3) for radius in (6.3, 2.7)]
    disc = [circle((-12, -3), 5.1, height(plane)) for plane in (2, 3)]
    read = read_label_image(write(tmp_path / "rt.dcm", {"ring": ring, "disc": disc}), (), Image())
    where = places()
    of_ring, of_disc = (np.hypot(where[..., 0] - x, where[..., 1] - y) for x, y in ((8, 2), (-12, -3)))
    truth = np.zeros(SHAPE, int)
    truth[1:4] = np.where((of_ring < 6.3) & (of_ring > 2.7), 1, 0)[1:4]
    truth[2:4][(of_disc < 5.1)[2:4]] = 2
    np.testing.assert_array_equal(read.labels, truth)
    assert read.names == {1: "ring", 2: "disc"}
    assert (truth == 1).sum() > 50


def test_planes_of_contours_count_for_the_slices_nearest_to_them(tmp_path: Path) -> None:
    between = [
        circle((0, 0), radius, height(plane)) for plane, radius in ((0.2, 3.3), (0.9, 4.3), (1.6, 5.3), (2.3, 6.3))
    ]
    read = read_label_image(write(tmp_path / "rt.dcm", {"cone": between}), (), Image())
    radius = np.hypot(places()[..., 0], places()[..., 1])
    for plane, expected in enumerate((3.3, 4.3, 6.3, 0, 0, 0)):
        np.testing.assert_array_equal(read.labels[plane] == 1, radius[plane] < expected)


def test_the_outline_of_the_body_is_left_out(tmp_path: Path) -> None:
    body, organ = [circle((0, 0), 12.1, height(2))], [circle((0, 0), 4.3, height(2))]
    read = read_label_image(write(tmp_path / "rt.dcm", {"body": body, "organ": organ}, type_="EXTERNAL"), (), Image())
    assert read.names == {2: "organ"}
    with pytest.raises(ImageError, match="'organ' overlaps with 'body'"):
        read_label_image(write(tmp_path / "rt.dcm", {"body": body, "organ": organ}), (), Image())


def test_what_is_no_region_of_slices_is_refused(tmp_path: Path) -> None:
    slanting = circle((0, 0), 5, height(2))
    slanting[:, 2] += 0.2 * slanting[:, 0]
    with pytest.raises(ImageError, match="'a' don't lie in slices"):
        read_label_image(write(tmp_path / "rt.dcm", {"a": [slanting]}), (), Image())
    with pytest.raises(ImageError, match="no closed contours"):
        read_label_image(write(tmp_path / "rt.dcm", {"a": [slanting]}, "POINT"), (), Image())
