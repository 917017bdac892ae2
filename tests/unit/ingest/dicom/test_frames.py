"""Slices are put into frames, whatever tells them apart, and every slice is accounted for."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dlif_core.errors import FrameTimingError, ImageError, InputError
from tests.unit.ingest.dicom.reading import described
from tests.unit.ingest.dicom.series import (
    ACTIVITY,
    DURATION,
    FRAMES,
    SLICES,
    START,
    Edit,
    clock,
    enhanced,
    position,
    write_series,
)


def same_time(dataset: Dataset, frame: int, z: int) -> None:
    """Every file states the time at which the first frame began."""
    dataset.AcquisitionTime = clock(0)["time"]


def no_time_at_all(dataset: Dataset, frame: int, z: int) -> None:
    for keyword in ("AcquisitionDate", "AcquisitionTime", "ActualFrameDuration", "FrameReferenceTime", "DecayFactor"):
        delattr(dataset, keyword)


def numbers_of_frames(dataset: Dataset, frame: int, z: int) -> None:
    no_time_at_all(dataset, frame, z)
    dataset.ImageIndex = frame + 1


def undated(dataset: Dataset, frame: int, z: int) -> None:
    del dataset.AcquisitionDate, dataset.SeriesDate


def rounded(dataset: Dataset, frame: int, z: int) -> None:
    """Places as makers round them."""
    dataset.ImagePositionPatient = [round(value + 0.004 * ((z + frame) % 2), 3) for value in position(z)]


@pytest.mark.parametrize("edit", [same_time, no_time_at_all, numbers_of_frames, undated, rounded])
def test_frames_are_told_apart(tmp_path: Path, edit: Edit) -> None:
    write_series(tmp_path, edit)
    np.testing.assert_array_equal(described(tmp_path).image, ACTIVITY.astype(np.float32))


def dropped(*places: tuple[int, int]) -> Edit:
    """Leave out slices of frames."""

    def edit(dataset: Dataset, frame: int, z: int) -> None:
        if (frame, z) in places:
            del dataset.PixelData

    return edit


def doubled(dataset: Dataset, frame: int, z: int) -> None:
    if (frame, z) == (1, 2):
        dataset.ImagePositionPatient = position(1)


def moved(dataset: Dataset, frame: int, z: int) -> None:
    dataset.ImagePositionPatient = position(z + 1 if z == SLICES - 1 else z)


def other_places(dataset: Dataset, frame: int, z: int) -> None:
    dataset.ImagePositionPatient = position(z + (frame == 2))


def sheared(dataset: Dataset, frame: int, z: int) -> None:
    x, y, height = position(z)
    dataset.ImagePositionPatient = [x, y + z, height]


def beds(dataset: Dataset, frame: int, z: int) -> None:
    """Each slice at another time, as a moving bed has it."""
    moment = clock(START[frame] + 10.0 * z)
    dataset.AcquisitionDate, dataset.AcquisitionTime = moment["date"], moment["time"]


def other_grid(dataset: Dataset, frame: int, z: int) -> None:
    if frame == 1:
        dataset.PixelSpacing = [2.0, 1.5]


def other_size(dataset: Dataset, frame: int, z: int) -> None:
    if (frame, z) == (1, 1):
        dataset.Rows -= 1
        dataset.PixelData = dataset.PixelData[: 2 * dataset.Rows * dataset.Columns]


def other_unit(dataset: Dataset, frame: int, z: int) -> None:
    if frame == 1:
        dataset.Units = "GML"


REFUSED = {
    "one slice is missing": (dropped((1, 2)), ImageError, "slices are missing: 1 of frame 2, of 4 each"),
    "slices of two frames": (dropped((0, 0), (2, 1), (2, 2)), ImageError, "1 of frame 1, 2 of frame 3"),
    "the last slice of all": (dropped(*((f, 3) for f in range(FRAMES))), ImageError, "1 of frame 1.*of 4 each"),
    "a slice within all": (dropped(*((f, 1) for f in range(FRAMES))), ImageError, "slices are missing"),
    "a whole frame": (dropped(*((1, z) for z in range(SLICES))), FrameTimingError, "hold 2 of the 3 frames"),
    "double": (doubled, ImageError, "there twice: 1 of frame 2"),
    "uneven": (moved, ImageError, "gaps between slices differ.*6 mm apart, most 3 mm"),
    "another place": (other_places, ImageError, "slices are missing: 1 of frame 1"),
    "sheared": (sheared, ImageError, "shifted against each other"),
    "several beds": (beds, FrameTimingError, "several bed positions"),
    "another spacing": (other_grid, ImageError, "differ in size, direction or spacing"),
    "another size": (other_size, ImageError, "4 × 6 pixels|5 × 6 pixels"),
    "another unit": (other_unit, InputError, "Units differs"),
}


@pytest.mark.parametrize(("edit", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_a_series_that_is_not_whole_is_refused(
    tmp_path: Path, edit: Edit, kind: type[InputError], message: str
) -> None:
    write_series(tmp_path / "pet", edit)
    with pytest.raises(kind, match=message) as fault:
        described(tmp_path)
    assert fault.value.where.startswith(str(tmp_path / "pet"))
    assert fault.value.hint


def test_a_gap_in_all_frames_is_seen_without_a_stated_count(tmp_path: Path) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        del dataset.NumberOfSlices
        dropped((frame, 1))(dataset, frame, 1 if z == 1 else -1)
        if z == 1:
            dataset.pop("PixelData", None)

    write_series(tmp_path, edit)
    with pytest.raises(ImageError, match="gaps between slices differ"):
        described(tmp_path)


def test_a_series_of_one_slice_has_the_thickness_of_it(tmp_path: Path) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.NumberOfSlices = 1
        if z:
            del dataset.PixelData

    write_series(tmp_path, edit)
    read = described(tmp_path)
    assert read.image.shape[:2] == (FRAMES, 1)
    assert read.affine[2, 2] == 3.0


def test_frames_after_midnight_come_last(tmp_path: Path) -> None:
    """Also where the date stays that of the first frame, as some programs write it."""
    for number, date in enumerate(("20240506", "")):

        def edit(dataset: Dataset, frame: int, z: int, date: str = date) -> None:
            moment = clock(14 * 3600 - 100 + START[frame])
            dataset.AcquisitionDate, dataset.AcquisitionTime = date, moment["time"]
            dataset.SeriesDate, dataset.SeriesTime = date, clock(14 * 3600 - 100)["time"]

        write_series(tmp_path / str(number), edit)
        read = described(tmp_path / str(number))
        assert read.fields["FrameTimesStart"] == START.tolist()
        assert read.fields["TimeZero"] == "23:58:20"
        np.testing.assert_array_equal(read.image, ACTIVITY.astype(np.float32))


def test_functional_groups_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def edit(dataset: Dataset) -> None:
        del dataset.PerFrameFunctionalGroupsSequence[-1]

    enhanced(tmp_path, edit)
    with pytest.raises(ImageError, match="states 12 frames and describes 11"):
        described(tmp_path)


def test_durations_differ_without_start(tmp_path: Path) -> None:
    """Where every frame states one start, the times that they count as give the starts, if these are without gaps."""
    write_series(tmp_path / "middle", same_time)
    read = described(tmp_path / "middle")
    assert read.fields["FrameTimesStart"] == START.tolist()
    assert read.checks == ["frame-starts"]

    def starts(dataset: Dataset, frame: int, z: int) -> None:
        same_time(dataset, frame, z)
        dataset.FrameReferenceTime = 1000 * START[frame]

    write_series(tmp_path / "start", starts)
    assert described(tmp_path / "start").fields["FrameTimesStart"] == START.tolist()

    def neither(dataset: Dataset, frame: int, z: int) -> None:
        same_time(dataset, frame, z)
        dataset.FrameReferenceTime = 1000 * (START[frame] + 0.8 * DURATION[frame])

    write_series(tmp_path / "neither", neither)
    assert "FrameTimesStart" not in described(tmp_path / "neither").fields
