"""The reader of ECAT 7, on files of the phantom and on real ones."""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import scipy.io

from dlif_core.errors import ImageError, InputError, UnitError
from dlif_core.ingest import READERS, image_geometry, open_scan
from tests.unit.ingest.ecat.images import BLOCK, ecat, write_ecat
from tests.unit.ingest.phantom import (
    ACTIVITY,
    DURATION,
    SECRETS,
    START,
    VOXEL_SIZE,
    decay_factors,
    in_ras,
    mutations,
    outcome,
    said,
    scans,
)

READER = READERS.named("ecat")


def test_a_scan_is_that_of_the_phantom(tmp_path: Path) -> None:
    write_ecat(tmp_path / "mouse.v")
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        scan = read.scan
        assert np.array_equal(in_ras(scan.activity[...], scan.affine), ACTIVITY)
        assert np.allclose(scan.voxel_size, VOXEL_SIZE[::-1])
        assert (scan.timing.start.tolist(), scan.timing.duration.tolist()) == ([*START], [*DURATION])
        assert (scan.acquisition.tracer, scan.acquisition.half_life) == ("FDG", pytest.approx(6586.2))
        assert scan.acquisition.body_weight == pytest.approx(70.0)
        assert read.timeline.decay_factors == pytest.approx(decay_factors())
        assert not [secret for secret in SECRETS if secret in said(read)]


def test_the_dose_counts_once_the_table_states_its_unit(tmp_path: Path) -> None:
    write_ecat(tmp_path / "data" / "mouse.v")
    (files,) = scans(READER, tmp_path / "data")
    with open_scan(files) as read:
        assert read.scan.acquisition.injected_activity is None
    table = tmp_path / "scans.tsv"
    table.write_text("source\tInjectedRadioactivityUnits\nmouse.v\tBq\n")
    (files,) = scans(READER, tmp_path / "data", table=str(table))
    with open_scan(files) as read:
        assert read.scan.acquisition.injected_activity == pytest.approx(3.7e8)


@pytest.mark.parametrize(
    ("position", "signs"), [(0, (-1, 1, 1)), (1, (1, 1, -1)), (2, (1, -1, 1)), (3, (-1, -1, -1)), (8, (-1, -1, -1))]
)
def test_left_is_left_however_the_patient_lay(tmp_path: Path, position: int, signs: tuple[int, int, int]) -> None:
    write_ecat(tmp_path / "a.v", signs=signs, patient_orientation=position)
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert np.array_equal(in_ras(read.scan.activity[...], read.scan.affine), ACTIVITY)
        assert any("patient_orientation" in finding.where for finding in read.findings) == (position != 3)


def test_nibabel_reads_the_same_numbers(tmp_path: Path) -> None:
    path = write_ecat(tmp_path / "a.v")
    (files,) = scans(READER, tmp_path)
    other = nib.ecat.load(path)
    with open_scan(files) as read:
        # nibabel turns scans that are head first to the right, the front and the head
        mine = in_ras(read.scan.activity[...], read.scan.affine)
        assert np.allclose(mine, np.asarray(other.dataobj).T, rtol=1e-6)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("frames", [(1, 2, 3), (3, 1, 2)])
def test_frames_are_in_order_whatever_their_place_and_byte_order(
    tmp_path: Path, order: str, frames: tuple[int, ...]
) -> None:
    write_ecat(tmp_path / "a.v", order=order, frames=frames)
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert np.array_equal(in_ras(read.scan.activity[...], read.scan.affine), ACTIVITY)
        assert read.scan.timing.start.tolist() == [*START]


def test_compressed_and_other_endings(tmp_path: Path) -> None:
    (tmp_path / "a.v.gz").write_bytes(gzip.compress(ecat()))
    write_ecat(tmp_path / "b.img")
    (tmp_path / "c.img").write_bytes(bytes(600))
    write_ecat(tmp_path / "d.v")
    (tmp_path / "d.hv").write_text("!INTERFILE := \n")
    one, two = scans(READER, tmp_path)
    assert (one.path, two.path) == ("a.v.gz", "b.img")
    for files in (one, two):
        with open_scan(files) as read:
            assert np.array_equal(in_ras(read.scan.activity[...], read.scan.affine), ACTIVITY)
            assert image_geometry(files) == (read.scan.activity.shape, pytest.approx((3.0, 1.5, 2.0)))


@pytest.mark.parametrize(
    "changed", [lambda packed: packed[:-900], lambda packed: packed[:200] + bytes(9) + packed[209:]]
)
def test_a_damaged_compressed_file_is_refused(tmp_path: Path, changed: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.v.gz"
    path.write_bytes(changed(gzip.compress(ecat())))
    (files,) = scans(READER, tmp_path)
    with pytest.raises(ImageError, match="truncated or damaged"), open_scan(files):
        pass


def test_the_injection_is_on_the_clock_of_the_scan(tmp_path: Path) -> None:
    write_ecat(tmp_path / "a.v", dose_start_time=1_500_000_000 - 60)
    write_ecat(tmp_path / "b.v", dose_start_time=1_500_000_000 + 10**6)
    one, two = scans(READER, tmp_path)
    with open_scan(one) as read:
        assert read.scan.timing.start[0] == 60.0
    with open_scan(two) as read:
        assert read.scan.timing.start[0] == 0.0
        assert any("1e+06 s" in finding.message for finding in read.findings)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"file_type": 11}, ImageError, "3D sinogram"),
        ({"magic_number": b"ECAT6"}, ImageError, "ECAT 6"),
        ({"identifiers": (1, 2, 3 | 1 << 12)}, ImageError, "2 beds"),
        ({"identifiers": (1, 2, 3 | 1 << 25)}, ImageError, "2 gates"),
        ({"identifiers": (1, 1, 2)}, ImageError, "one twice"),
        ({"subheader": {"data_type": 4}}, ImageError, "VAX"),
        ({"subheader": {"x_dimension": 600}}, ImageError, "truncated"),
        ({"subheader": {"scale_factor": 0.0}}, ImageError, "scale"),
        ({"subheader": {"x_pixel_size": 0.0}}, ImageError, "voxels of"),
        ({"data_units": b""}, UnitError, "no unit"),
        ({"subheader": {"corrections_applied": 0, "decay_corr_fctr": 1.0}}, InputError, "not decay-corrected"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, changes: dict[str, Any], kind: type, message: str) -> None:
    path = write_ecat(tmp_path / "a.v", **changes)
    (files,) = scans(READER, tmp_path)
    with pytest.raises(kind, match=message) as fault, open_scan(files):
        pass
    assert str(path) in str(fault.value)


def test_spoilt_files_are_refused_or_read(tmp_path: Path) -> None:
    path = write_ecat(tmp_path / "a.v")
    (files,) = scans(READER, tmp_path)
    sound = path.read_bytes()
    outcomes = []
    tracemalloc.start()
    for content in mutations(sound, 300, head=3 * BLOCK):
        path.write_bytes(content)

        def read_it() -> None:
            with open_scan(files) as read:
                assert np.isfinite(read.scan.activity[...]).all()

        outcomes.append(outcome(read_it))
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert {"read", "refused"} == set(outcomes)


@pytest.mark.realdata
class TestReal:
    @pytest.fixture
    def real(self, real_data: Path) -> Path:
        return real_data / "ecat_and_blood_import"

    def test_known_voxels(self, real: Path) -> None:
        (files,) = scans(READER, real / "synthetic_ecat_integer_16x16x16x4.v.gz")
        truth = scipy.io.loadmat(real / "synthetic_ecat_integer_16x16x16x4.mat")
        with READER.open(files) as read:  # too short for the checks
            scan = read.scan
            for frame in range(4):
                pixels = truth[f"frame_{frame + 1}_pixel_data"].astype(float)
                assert np.allclose(np.asarray(scan.activity[frame]), pixels)
            assert np.allclose(np.diag(scan.affine)[:3], -1.21875)
            assert scan.timing.duration.tolist() == [10.0] * 4
            assert scan.acquisition.half_life == pytest.approx(1224.0)
            assert not [word for word in ("Majesty", "PerfectPatient", "Golden") if word in said(read).split("/")[-1]]

    def test_one_frame_of_a_series(self, real: Path) -> None:
        (files,) = scans(READER, real / "tinypet.v")
        other = nib.ecat.load(real / "tinypet.v")
        with READER.open(files) as read:  # too short for the checks
            assert read.scan.timing.start.tolist() == [1500.016]
            assert read.timeline.decay_factors == pytest.approx([1.1895915])
            raw = other.get_subheaders().data_from_fileobj(0)
            assert np.allclose(np.asarray(read.scan.activity[0]), raw.T, rtol=1e-5)

    def test_times_of_a_conversion_are_known(self, real: Path) -> None:
        stated = json.loads((real / "ECAT7_multiframe.json").read_text())
        start, duration = np.array(stated["FrameTimesStart"]), np.array(stated["FrameDuration"])
        rate = np.log(stated["DecayCorrectionFactor"][1] / stated["DecayCorrectionFactor"][0]) / 300
        factors = rate * duration * np.exp(rate * start) / -np.expm1(-rate * duration)
        assert factors == pytest.approx(stated["DecayCorrectionFactor"], rel=1e-3)  # corrected to the start of the scan
