"""The reader of Inveon and microPET images, on files of the phantom."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlif_core.checks import RefusedScanError
from dlif_core.errors import ImageError, InputError, MissingInputError, UnitError
from dlif_core.ingest import READERS, image_geometry, open_scan
from tests.unit.ingest.inveon.images import TYPES, header, write_inveon
from tests.unit.ingest.phantom import (
    ACTIVITY,
    DURATION,
    SECRETS,
    START,
    decay_factors,
    in_ras,
    mutations,
    outcome,
    said,
    scans,
)

READER = READERS.named("inveon")


def test_a_scan_is_that_of_the_phantom(tmp_path: Path) -> None:
    write_inveon(tmp_path / "mouse.img")
    (files,) = scans(READER, tmp_path)
    assert files.path == "mouse.img"
    with open_scan(files) as read:
        scan = read.scan
        assert np.allclose(in_ras(scan.activity[...], scan.affine), ACTIVITY, rtol=1e-6)
        assert image_geometry(files) == (scan.activity.shape, (3.0, 1.5, 2.0))
        assert (scan.timing.start.tolist(), scan.timing.duration.tolist()) == ([*START], [*DURATION])
        assert (scan.acquisition.tracer, scan.acquisition.half_life) == ("FDG", 6586.2)
        assert scan.acquisition.body_weight == pytest.approx(0.025)
        assert scan.acquisition.injected_activity == pytest.approx(10e6)
        assert read.timeline.decay_factors == pytest.approx(decay_factors())
        assert not [secret for secret in SECRETS if secret in said(read)]
        assert any("sides you know" in finding.message for finding in read.findings)


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != 1])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_types_of_numbers_and_places_of_frames(tmp_path: Path, kind: int, order: tuple[int, ...]) -> None:
    write_inveon(tmp_path / "a.img", data_type=kind, order=order)
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        found = in_ras(read.scan.activity[...], read.scan.affine)
        assert np.abs(found - ACTIVITY).max() < 3.0  # whole numbers of 1, 2 and 3 Bq/mL
        assert read.scan.timing.start.tolist() == [*START]


@pytest.mark.parametrize(
    ("position", "signs"), [(0, (-1, -1, -1)), (1, (-1, 1, 1)), (2, (1, 1, -1)), (3, (1, -1, 1)), (4, (-1, -1, -1))]
)
def test_left_is_left_however_the_animal_lay(tmp_path: Path, position: int, signs: tuple[int, int, int]) -> None:
    write_inveon(tmp_path / "a.img", signs, subject_orientation=position)
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert np.allclose(in_ras(read.scan.activity[...], read.scan.affine), ACTIVITY, rtol=1e-6)


@pytest.mark.parametrize(("code", "kilograms"), [(1, 0.025), (2, 0.70873808), (3, 25.0), (4, 11.339809)])
def test_codes_of_weight(tmp_path: Path, code: int, kilograms: float) -> None:
    write_inveon(tmp_path / "a.img", subject_weight_units=code)
    (files,) = scans(READER, tmp_path)
    with READER.open(files) as read:
        assert read.scan.acquisition.body_weight == pytest.approx(kilograms)


def test_units_of_dose_and_voxels(tmp_path: Path) -> None:
    write_inveon(tmp_path / "a.img", dose_units=1, dose=0.5, calibration_units=1)
    (files,) = scans(READER, tmp_path)
    with READER.open(files) as read:
        assert read.scan.acquisition.injected_activity == pytest.approx(18.5e6)
        assert np.allclose(in_ras(read.scan.activity[...], read.scan.affine), 37 * ACTIVITY, rtol=1e-6)


@pytest.mark.parametrize(
    ("calibration", "branching", "factor"), [(4.0, 0.5, 1.0), (4.0, 0, 0.5), (0, 0.5, 0.125), (-1, 0, 0.125)]
)
def test_calibration_and_branching(tmp_path: Path, calibration: float, branching: float, factor: float) -> None:
    write_inveon(tmp_path / "a.img", calibration_factor=calibration, isotope_branching_fraction=branching)
    (files,) = scans(READER, tmp_path)
    with READER.open(files) as read:
        assert np.allclose(in_ras(read.scan.activity[...], read.scan.affine), factor * ACTIVITY, rtol=1e-6)
        assert any("not above zero" in finding.message for finding in read.findings) == (factor < 1)


def test_an_image_that_is_not_calibrated_is_doubtful(tmp_path: Path) -> None:
    write_inveon(tmp_path / "a.img", calibration_factor=0)
    (files,) = scans(READER, tmp_path)
    with pytest.raises(RefusedScanError, match="calibration factor is not above zero"), open_scan(files):
        pass
    with open_scan(files, accept=["uncalibrated"]) as read:
        assert read.scan.activity is not None


def test_voxels_of_older_headers(tmp_path: Path) -> None:
    older = dict.fromkeys(("pixel_size_x", "pixel_size_y", "pixel_size_z"))
    write_inveon(tmp_path / "a.img", **older, axial_crystal_pitch=0.25)
    write_inveon(tmp_path / "b.img", **older, axial_plane_size=0.125, axial_crystal_pitch=0.3)
    for files in scans(READER, tmp_path):
        assert image_geometry(files).voxel_size == pytest.approx((1.25, 2.0, 2.0))


def test_the_injection_is_on_the_clock_of_the_scan(tmp_path: Path) -> None:
    write_inveon(tmp_path / "a.img", scan_time="Tue Mar 3 00:00:30 2009", injection_time="Mon Mar 02 23:59:30 2009")
    write_inveon(tmp_path / "b.img", injection_time="Tue Mar 03 10:00:00 1970")
    one, two = scans(READER, tmp_path)
    with open_scan(one) as read:
        assert read.scan.timing.start[0] == 60.0
    with open_scan(two) as read:
        assert read.scan.timing.start[0] == 0.0
        assert any("injection_time" in finding.where for finding in read.findings)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"file_type": 2}, ImageError, "no PET image"),
        ({"modality": 1}, ImageError, "no PET image"),
        ({"acquisition_mode": 4}, ImageError, "gate"),
        ({"total_frames": 4}, ImageError, "announces 4 frames and describes 3"),
        ({"data_type": 9}, ImageError, "data_type is 9"),
        ({"calibration_factor": "2\ncalibration_factor 7"}, ImageError, "calibration_factor twice"),
        ({"x_dimension": 700}, ImageError, "truncated"),
        ({"x_dimension": "many"}, ImageError, "x_dimension"),
        ({"frame": {"scale_factor": 0}}, ImageError, "scale"),
        ({"frame": {"frame": 1}}, ImageError, "one twice"),
        ({"frame": {"frame_start": "n/a"}}, ImageError, "frame_start"),
        ({"calibration_units": 0}, UnitError, "no unit"),
        ({"decay_correction_applied": 0}, InputError, "not decay-corrected"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, changes: dict[str, Any], kind: type, message: str) -> None:
    path = write_inveon(tmp_path / "a.img")
    path.with_name("a.img.hdr").write_text(header(**changes))
    (files,) = scans(READER, tmp_path)
    with pytest.raises(kind, match=message) as fault, open_scan(files):
        pass
    assert str(path) in str(fault.value)


def test_beds_are_refused(tmp_path: Path) -> None:
    path = write_inveon(tmp_path / "a.img")
    hdr = path.with_name("a.img.hdr")
    hdr.write_text(hdr.read_text().replace("bed 0", "bed 1", 1))
    (files,) = scans(READER, tmp_path)
    with pytest.raises(ImageError, match="2 beds"), open_scan(files):
        pass


def test_a_header_without_its_image(tmp_path: Path) -> None:
    write_inveon(tmp_path / "a.img").unlink()
    (files,) = scans(READER, tmp_path)
    with pytest.raises(MissingInputError, match=r"a\.img"), open_scan(files):
        pass


def test_spoilt_headers_are_refused_or_read(tmp_path: Path) -> None:
    path = write_inveon(tmp_path / "a.img")
    hdr = path.with_name("a.img.hdr")
    (files,) = scans(READER, tmp_path)
    outcomes = []
    for content in mutations(hdr.read_bytes(), 300):
        hdr.write_bytes(content)

        def read_it() -> None:
            with open_scan(files) as read:
                assert np.isfinite(read.scan.activity[...]).all()

        outcomes.append(outcome(read_it))
    assert {"read", "refused"} == set(outcomes)
