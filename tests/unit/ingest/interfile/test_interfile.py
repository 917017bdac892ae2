"""The reader of Interfile, on files of the phantom."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlif_core.errors import FrameTimingError, ImageError, InputError, MissingInputError, UnitError
from dlif_core.ingest import READERS, image_geometry, open_scan
from tests.unit.ingest.interfile.images import header, write_interfile
from tests.unit.ingest.phantom import ACTIVITY, DURATION, SECRETS, START, in_ras, mutations, outcome, said, scans

READER = READERS.named("interfile")


def test_a_scan_is_that_of_the_phantom(tmp_path: Path) -> None:
    write_interfile(tmp_path / "mouse.hv")
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        scan = read.scan
        assert np.allclose(in_ras(scan.activity[...], scan.affine), ACTIVITY, rtol=1e-6)
        assert image_geometry(files) == (scan.activity.shape, (3.0, 1.5, 2.0))
        assert (scan.timing.start.tolist(), scan.timing.duration.tolist()) == ([*START], [*DURATION])
        assert (scan.acquisition.tracer, scan.acquisition.half_life) == ("FDG", 6586.2)
        assert not [secret for secret in SECRETS if secret in said(read)]


@pytest.mark.parametrize(
    ("first", "side", "signs"),
    [
        ("head_in", "prone", (1, 1, -1)),
        ("feet_in", "supine", (1, -1, 1)),
        ("feet_in", "prone", (-1, 1, 1)),
        ("unknown", "unknown", (-1, -1, -1)),
    ],
)
def test_left_is_left_however_the_patient_lay(
    tmp_path: Path, first: str, side: str, signs: tuple[int, int, int]
) -> None:
    write_interfile(tmp_path / "a.hv", signs, **{"patient orientation": first, "patient rotation": side})
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert np.allclose(in_ras(read.scan.activity[...], read.scan.affine), ACTIVITY, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "number_format", "order"),
    [
        ("<f8", "long float", "LITTLEENDIAN"),
        (">f4", "short float", "BIGENDIAN"),
        (">i2", "signed integer", None),
        ("<u2", "unsigned integer", "littleendian"),
        ("<i4", "Signed Integer", "LITTLEENDIAN"),
    ],
)
def test_formats_of_numbers(tmp_path: Path, kind: str, number_format: str, order: str | None) -> None:
    length = np.dtype(kind).itemsize
    changes = {"number format": number_format, "!number of bytes per pixel": length, "imagedata byte order": order}
    changes |= {"data offset in bytes": 64} | {f"data offset in bytes[{n}]": None for n in (1, 2, 3)}
    write_interfile(tmp_path / "a.h33", kind=kind, data="a.i33", **changes)
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert np.abs(in_ras(read.scan.activity[...], read.scan.affine) - ACTIVITY).max() < 3.0
        assert any("BIGENDIAN is assumed" in finding.message for finding in read.findings) == (order is None)


def test_a_header_of_the_shared_ending_and_voxels_below_it(tmp_path: Path) -> None:
    write_interfile(tmp_path / "a.hdr", data="voxels/a.img")
    (tmp_path / "b.hdr").write_bytes(bytes(348))
    (files,) = scans(READER, tmp_path)
    assert list(files.inputs()) == ["a.hdr", "voxels/a.img"]
    with open_scan(files) as read:
        assert np.allclose(in_ras(read.scan.activity[...], read.scan.affine), ACTIVITY, rtol=1e-6)


def test_spellings_of_other_programs(tmp_path: Path) -> None:
    changes: dict[str, Any] = {f"scaling factor (mm/pixel) [{axis}]": None for axis in (1, 2, 3)}
    changes |= {"scale factor (mm/pixel) [1]": 2.0, "%scale factor (mm/pixel)[2]": 1.5, "!matrix size [3]": None}
    changes |= {
        "!number of slices": 4,
        "centre-centre slice separation (pixels)": 1.5,
        "patient_orientation": "Head_In",
    }
    changes |= {"!MATRIX SIZE[1]": 6, "!matrix size [1]": None}
    write_interfile(tmp_path / "a.hv", **changes)
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert np.allclose(in_ras(read.scan.activity[...], read.scan.affine), ACTIVITY, rtol=1e-6)
        assert image_geometry(files).voxel_size == (3.0, 1.5, 2.0)


def test_durations_alone_and_one_factor_for_all(tmp_path: Path) -> None:
    changes: dict[str, Any] = {f"image relative start time (sec)[{n}]": None for n in (1, 2, 3)}
    changes |= {f"image scaling factor[{n}]": None for n in (1, 2, 3)} | {"quantification units": 2.0}
    write_interfile(tmp_path / "data" / "a.hv", **changes)
    table = tmp_path / "scans.tsv"
    table.write_text("source\tUnits\na.hv\tkBq/mL\n")
    (files,) = scans(READER, tmp_path / "data", table=str(table))
    with READER.open(files) as read:
        assert read.scan.timing.start.tolist() == [*START]
        found = in_ras(read.scan.activity[...], read.scan.affine)
        assert np.allclose(found[1], 1000.0 * ACTIVITY[1], rtol=1e-6)


def test_the_table_states_what_a_plain_header_leaves_out(tmp_path: Path) -> None:
    times = {f"image relative start time (sec)[{n}]": None for n in (1, 2, 3)}
    times |= {f"image duration (sec)[{n}]": None for n in (1, 2, 3)}
    write_interfile(tmp_path / "data" / "a.hv", **times)
    (files,) = scans(READER, tmp_path / "data")
    with pytest.raises(FrameTimingError), open_scan(files):
        pass
    table = tmp_path / "scans.tsv"
    table.write_text("source\tFrameTimesStart\tFrameDuration\na.hv\t0 30 90\t30, 60, 600\n")
    (files,) = scans(READER, tmp_path / "data", table=str(table))
    with open_scan(files) as read:
        assert read.scan.timing.duration.tolist() == [*DURATION]


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"!matrix size [1]": 700}, ImageError, "truncated"),
        ({"!matrix size [1]": -6}, ImageError, "announces an image"),
        ({"!matrix size [2]": "many"}, ImageError, "'matrix size' is not a number"),
        ({"data offset in bytes[2]": 64}, ImageError, "two frames into the same bytes"),
        ({"number format": "bit"}, ImageError, "format of the numbers"),
        ({"number of frame groups": 2}, ImageError, "groups"),
        ({"slice orientation": "Coronal"}, ImageError, "not transverse"),
        ({"data rescale offset": 3}, ImageError, "offset"),
        ({"quantification units": 5}, ImageError, "two factors"),
        ({"data rescale slope": 5}, ImageError, "two factors"),
        ({"image scaling factor[2]": 0}, ImageError, "not a number above zero"),
        ({"image scaling factor[2]": None}, ImageError, "stated for 2 of 3 frames"),
        ({"NUMBER OF TIME FRAMES": 2}, ImageError, "stated twice"),
        ({"imagedata byte order": "VAX"}, ImageError, "neither LITTLEENDIAN"),
        ({"scaling factor (mm/pixel) [1]": 0}, ImageError, "voxels of"),
        ({"quantification units": None}, UnitError, "no unit"),
        ({"applied corrections": "{arc correction}"}, InputError, "not decay-corrected"),
        ({"name of data file": "../secret.v"}, MissingInputError, "not there"),
        ({"name of data file": "other.v"}, MissingInputError, "not there"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, changes: dict[str, Any], kind: type, message: str) -> None:
    (tmp_path / "secret.v").write_bytes(bytes(9999))
    path = write_interfile(tmp_path / "data" / "a.hv")
    path.write_text(header("a.v", **changes))
    (files,) = scans(READER, tmp_path / "data")
    with pytest.raises(kind, match=message) as fault, open_scan(files):
        pass
    assert str(path.parent) in str(fault.value)


def test_spoilt_headers_are_refused_or_read(tmp_path: Path) -> None:
    path = write_interfile(tmp_path / "a.hv")
    outcomes = []
    for content in mutations(path.read_bytes(), 300):
        path.write_bytes(content)

        def read_it() -> None:
            (files,) = scans(READER, tmp_path)
            with open_scan(files) as read:
                assert np.isfinite(read.scan.activity[...]).all()

        outcomes.append(outcome(read_it))
    assert {"read", "refused"} == set(outcomes)
