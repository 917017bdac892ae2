"""The reader of plain NIfTI, Analyze and MINC images, on files of the phantom."""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from dlif_core.errors import DlifError, FrameTimingError, ImageError, MissingInputError, UnitError
from dlif_core.ingest import READERS, image_geometry, open_scan
from dlif_core.ingest.volumes.minc import open_minc
from tests.unit.ingest.bids.dataset import make_dataset
from tests.unit.ingest.phantom import ACTIVITY, DURATION, SECRETS, START, in_ras, mutations, outcome, said, scans
from tests.unit.ingest.volumes.images import FRAMES, affine, write_analyze, write_minc, write_nifti

READER = READERS.named("nifti")


@pytest.mark.parametrize("signs", [(-1, 1, 1), (1, 1, 1), (1, -1, -1)])
@pytest.mark.parametrize("name", ["mouse.nii", "mouse.nii.gz"])
def test_a_nifti_image_with_a_table_of_frames(tmp_path: Path, name: str, signs: tuple[int, int, int]) -> None:
    path = write_nifti(tmp_path / name, signs)
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert np.array_equal(in_ras(read.scan.activity[...], read.scan.affine), ACTIVITY)
        assert np.allclose(read.scan.affine, affine(signs))
        assert image_geometry(files) == (read.scan.activity.shape, (3.0, 1.5, 2.0))
        assert (read.scan.timing.start.tolist(), read.scan.timing.duration.tolist()) == ([*START], [*DURATION])
        assert not [secret for secret in SECRETS if secret in said(read)]
        other = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
        assert np.array_equal(np.asarray(read.scan.activity[...]), other)


@pytest.mark.parametrize("factor", [0.0, 2.0])
def test_an_analyze_image_has_no_orientation(tmp_path: Path, factor: float) -> None:
    path = write_analyze(tmp_path / "mouse.hdr", factor=factor)
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert np.allclose(in_ras(read.scan.activity[...], read.scan.affine), ACTIVITY)
        assert image_geometry(files) == (read.scan.activity.shape, (3.0, 1.5, 2.0))
        assert any("no orientation" in finding.message for finding in read.findings)
        assert np.allclose(np.asarray(nib.Spm99AnalyzeImage.load(path).dataobj).T, read.scan.activity[...])
        assert not [secret for secret in SECRETS if secret in said(read)]


def test_nifti_in_two_files_has_its_orientation(tmp_path: Path) -> None:
    write_analyze(tmp_path / "mouse.hdr")
    pair = nib.Nifti1Pair(ACTIVITY.T, affine((1, 1, 1)))
    pair.header.set_xyzt_units("mm", "sec")
    nib.save(pair, tmp_path / "mouse.hdr")
    (tmp_path / "mouse.img").rename(tmp_path / "plain")
    (tmp_path / "mouse.img.gz").write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert np.array_equal(read.scan.activity[...], ACTIVITY)
        assert np.allclose(read.scan.affine, affine((1, 1, 1)))


@pytest.mark.parametrize("name", ["mouse.mnc", "mouse.mnc.gz"])
def test_a_minc_image_has_times_of_its_own(tmp_path: Path, name: str) -> None:
    path = write_minc(tmp_path / "mouse.mnc")
    if name.endswith(".gz"):
        path.with_name(name).write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert np.abs(in_ras(read.scan.activity[...], read.scan.affine) - ACTIVITY).max() < 1.0
        assert image_geometry(files) == (read.scan.activity.shape, pytest.approx((3.0, 1.5, 2.0)))
        assert read.scan.timing.start.tolist() == [*START]
        assert np.allclose(read.scan.affine[:3, 3], 2.0)


@pytest.mark.parametrize("name", ["minc1_4d.mnc", "minc1_1_scale.mnc", "minc1-no-att.mnc"])
def test_nibabel_reads_the_same_of_minc(name: str) -> None:
    path = Path(nib.__file__).parent / "tests" / "data" / name
    other = nib.load(path)
    voxels = np.asarray(other.dataobj)
    with open_minc(str(path)) as ours:
        target = np.empty(ours.shape, dtype=np.float32)
        ours.fill(target)
    assert np.allclose(target, voxels if voxels.ndim == 4 else voxels[None], rtol=1e-6)
    if voxels.ndim == 3:
        assert np.allclose(ours.affine, np.asarray(other.affine)[:, [2, 1, 0, 3]])


@pytest.mark.parametrize(
    ("ending", "frames"),
    [
        ("_frames.tsv", "start [min]\tduration [min]\n0\t0.5\n0.5\t1\n1.5\t10\n"),
        ("_frames.csv", "frame start (s);frame end (s)\n0;30\n30;90\n90;690\n"),
        ("_frames.csv", "duration [s],remark\n30,x\n60,x\n600,x\n"),
        ("_frames.txt", "start[s] end[s]\n0 30\n30 90\n90 690\n"),
        ("_frames.txt", "FrameTimesStart   FrameDuration\n0   30\n30   60\n90   600\n"),
        (".sif", "1/8/2001 12:54:21 3 4 1 Jane F-18\n0 30 100 5\n30 90 200 6\n90 690 300 7\n"),
    ],
)
def test_tables_of_frames(tmp_path: Path, ending: str, frames: str) -> None:
    write_nifti(tmp_path / "mouse.nii", frames=frames, ending=ending)
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert read.scan.timing.start.tolist() == pytest.approx([*START])
        assert read.scan.timing.duration.tolist() == pytest.approx([*DURATION])
        assert any("s is assumed" in finding.message for finding in read.findings) == ("Times" in frames)


def test_frame_times_from_the_table_of_scans_or_a_sidecar(tmp_path: Path) -> None:
    write_nifti(tmp_path / "data" / "a.nii", frames=None)
    write_nifti(tmp_path / "data" / "b.nii", frames=None, FrameTimesStart=[*START], FrameDuration=[*DURATION])
    table = tmp_path / "scans.csv"
    table.write_text(
        "source;FrameTimesStart;FrameDuration;InjectedRadioactivity;InjectedRadioactivityUnits\n"
        "a.nii;0 30 90;30 60 600;12,5;MBq\n"
    )
    one, two = scans(READER, tmp_path / "data", table=str(table))
    with open_scan(one) as read:
        assert read.scan.timing.start.tolist() == [*START]
        assert read.scan.acquisition.injected_activity == pytest.approx(12.5e6)
    with open_scan(two) as read:
        assert read.scan.timing.duration.tolist() == [*DURATION]


@pytest.mark.parametrize("fields", [{"FrameDuration": [30, 60, 60]}, {"FrameTimesStart": [0, [1], None]}])
def test_two_sources_of_frame_times_that_differ_are_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    write_nifti(tmp_path / "a.nii", FrameTimesStart=[*START], FrameDuration=[*DURATION])
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert read.scan.timing.duration.tolist() == [*DURATION]
    write_nifti(tmp_path / "a.nii", **fields)
    with pytest.raises(FrameTimingError, match=r"is another here than in a\.json"), open_scan(files):
        pass


def test_minutes_without_their_unit_are_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii", frames="start\tend\n0\t0.5\n0.5\t1.5\n1.5\t60\n")
    (files,) = scans(READER, tmp_path)
    with pytest.raises(DlifError, match="minutes"), open_scan(files):
        pass


@pytest.mark.parametrize(
    ("frames", "kind", "message"),
    [
        ("start\n0\n", FrameTimingError, "no columns"),
        ("start [kg]\tend [s]\n0\t30\n", UnitError, "kg"),
        ("start [s]\tend [s]\n", FrameTimingError, "no frames"),
        ("start [s]\tend [s]\n0\tn/a\n", FrameTimingError, "without times"),
        ("start [s]\tend [s]\tduration [s]\n0\t30\t30\n30\t90\t60\n90\t690\t10\n", FrameTimingError, "from start"),
        ("start [s]\tend [s]\n0\t600\n", FrameTimingError, "frames"),
        (None, FrameTimingError, "missing"),
    ],
)
def test_frame_tables_that_cannot_be_meant(tmp_path: Path, frames: str | None, kind: type, message: str) -> None:
    write_nifti(tmp_path / "a.nii", frames=frames)
    (files,) = scans(READER, tmp_path)
    with pytest.raises((kind, ImageError), match=message), open_scan(files):
        pass


def test_datasets_of_pet_bids_are_left_to_their_reader(tmp_path: Path) -> None:
    make_dataset(tmp_path / "bids")
    assert not READER.recognises(str(tmp_path / "bids"))
    assert not READER.recognises(str(tmp_path))


def test_voxels_that_are_not_there(tmp_path: Path) -> None:
    write_analyze(tmp_path / "a.hdr").with_suffix(".img").unlink()
    (files,) = scans(READER, tmp_path)
    with pytest.raises(MissingInputError, match=r"a\.hdr"), open_scan(files):
        pass


def test_minc_2_is_refused_in_words(tmp_path: Path) -> None:
    write_minc(tmp_path / "a.mnc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(999))
    (files,) = scans(READER, tmp_path)
    with pytest.raises(ImageError, match="MINC 2 is not read"), open_scan(files):
        pass


@pytest.mark.parametrize(
    ("write", "name", "head", "count"),
    [
        (write_nifti, "a.nii", 352, 300),
        (write_analyze, "a.hdr", 348, 300),
        (write_minc, "a.mnc", 1500, 300),
    ],
)
def test_spoilt_images_are_refused_or_read(tmp_path: Path, write: Any, name: str, head: int, count: int) -> None:
    path = write(tmp_path / name)
    (files,) = scans(READER, tmp_path)
    outcomes = set()
    for content in mutations(path.read_bytes(), count, head):
        path.write_bytes(content)

        def read_it() -> None:
            with open_scan(files) as read:
                assert np.isfinite(read.scan.activity[...]).all()

        outcomes.add(outcome(read_it))
    assert outcomes == {"read", "refused"}


def test_spoilt_tables_of_frames_are_refused_or_read(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii")
    (files,) = scans(READER, tmp_path)
    for content in mutations(FRAMES.encode(), 150):
        (tmp_path / "a_frames.tsv").write_bytes(content)

        def read_it() -> None:
            with open_scan(files) as read:
                assert len(read.scan.timing) == 3

        outcome(read_it)
