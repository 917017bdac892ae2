"""NIfTI images: their values, and files whose header or size is not what it should be."""

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlif_core.errors import ConfigurationError, ImageError, InputError, MissingInputError
from dlif_core.ingest.label_image import read_labels
from dlif_core.ingest.nifti import NiftiImage, image_geometry, open_image
from dlif_core.ingest.regions import label_means
from tests.unit.ingest.outcomes import sound_or_told

AFFINE = np.array([[-2.0, 0, 0, 10], [0, 3.0, 0, -20], [0, 0, 4.0, 5], [0, 0, 0, 1]])
VALUES = np.arange(3 * 4 * 5 * 6, dtype=np.int16).reshape(3, 4, 5, 6)


def content(
    values: np.ndarray = VALUES,
    kind: Any = nibabel.Nifti1Header,
    order: str = "<",
    affine: np.ndarray = AFFINE,
    **fields: Any,
) -> bytes:
    """Bytes of an image in one file, whose header has some fields set to anything."""
    header = kind(endianness=order)
    header.set_data_dtype(values.dtype.newbyteorder(order))
    header.set_data_shape(values.shape)
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    header.set_xyzt_units("mm", "sec")
    header["vox_offset"] = len(header.binaryblock) + 4
    header["magic"] = {348: b"n+1", 540: b"n+2"}[len(header.binaryblock)]
    for name, value in fields.items():
        header[name] = value
    return (
        bytes(header.binaryblock)
        + bytes(4)
        + values.astype(header.get_data_dtype() if "datatype" not in fields else values.dtype).tobytes("F")
    )


def write(folder: Path, data: bytes, name: str = "scan.nii") -> str:
    (folder / name).write_bytes(gzip.compress(data, 1) if name.endswith(".gz") else data)
    return str(folder / name)


def read(uri: str) -> np.ndarray:
    with open_image(uri) as image:
        return image[...]


def warnings_of(uri: str) -> tuple[str, ...]:
    with open_image(uri) as image:
        return image.warnings


def fault(uri: str, *words: str, kind: type[InputError] = ImageError) -> None:
    with pytest.raises(kind) as caught:
        read(uri)
    assert type(caught.value) is kind
    assert caught.value.where == uri
    assert caught.value.hint
    for word in words:
        assert word in str(caught.value)


class TestGeometry:
    @pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
    def test_is_read_from_the_header_alone(self, tmp_path: Path, name: str) -> None:
        values = np.random.default_rng(0).random((14, 15, 16, 7), np.float32)
        path = Path(write(tmp_path, content(values, affine=np.diag([0.5, 0.6, 0.7, 1])), name))
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        shape, voxel_size = image_geometry(str(path))
        assert shape == (7, 16, 15, 14)
        assert voxel_size == pytest.approx((0.7, 0.6, 0.5))
        path.write_bytes(whole[:20])
        with pytest.raises(ImageError, match="header"):
            image_geometry(str(path))

    def test_is_in_millimetres(self, tmp_path: Path) -> None:
        data = content(affine=np.diag([500.0, 600, 700, 1]), xyzt_units=3)
        assert image_geometry(write(tmp_path, data)).voxel_size == pytest.approx((0.7, 0.6, 0.5))


class TestSound:
    @pytest.mark.parametrize("kind", [nibabel.Nifti1Header, nibabel.Nifti2Header])
    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
    def test_kinds_of_header_and_byte_orders(self, tmp_path: Path, kind: Any, order: str, name: str) -> None:
        uri = write(tmp_path, content(kind=kind, order=order), name)
        np.testing.assert_array_equal(read(uri), VALUES.T)
        assert image_geometry(uri) == ((6, 5, 4, 3), (4.0, 3.0, 2.0))
        assert warnings_of(uri) == ()

    @pytest.mark.parametrize("slope", [0.0, np.nan])
    def test_no_slope_is_no_scale(self, tmp_path: Path, slope: float) -> None:
        uri = write(tmp_path, content(scl_slope=slope, scl_inter=np.nan))
        np.testing.assert_array_equal(read(uri), VALUES.T)
        uri = write(tmp_path, content(scl_slope=slope, scl_inter=5))
        np.testing.assert_array_equal(read(uri), VALUES.T)
        assert "scl_inter 5 without scl_slope" in warnings_of(uri)[0]

    def test_slope_and_intercept(self, tmp_path: Path) -> None:
        np.testing.assert_array_equal(read(write(tmp_path, content(scl_slope=0.5, scl_inter=-3))), VALUES.T / 2 - 3)

    @pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
    def test_padding_is_told(self, tmp_path: Path, name: str) -> None:
        uri = write(tmp_path, content() + bytes(20), name)
        np.testing.assert_array_equal(read(uri), VALUES.T)
        assert "Bytes follow the voxels" in warnings_of(uri)[0]

    def test_an_extension_before_the_voxels(self, tmp_path: Path) -> None:
        data = content(vox_offset=400)
        uri = write(tmp_path, data[:352] + bytes(48) + data[352:])
        np.testing.assert_array_equal(read(uri), VALUES.T)

    def test_several_gzip_streams_in_one_file(self, tmp_path: Path) -> None:
        data, path = content(), tmp_path / "scan.nii.gz"
        path.write_bytes(gzip.compress(data[:500]) + gzip.compress(data[500:]))
        np.testing.assert_array_equal(read(str(path)), VALUES.T)
        path.write_bytes(path.read_bytes() + b"other")
        np.testing.assert_array_equal(read(str(path)), VALUES.T)
        assert "Bytes follow the voxels" in warnings_of(str(path))[0]

    def test_gzip_under_the_name_nii(self, tmp_path: Path) -> None:
        np.testing.assert_array_equal(read(write(tmp_path, gzip.compress(content()))), VALUES.T)


class TestFields:
    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"scl_slope": 1, "scl_inter": np.nan}, ("scl_slope = 1", "scl_inter = nan", "Set scl_inter to 0")),
            ({"scl_slope": 2, "scl_inter": np.inf}, ("scl_inter = inf",)),
            ({"scl_slope": np.inf}, ("scl_slope = inf",)),
            ({"vox_offset": np.inf}, ("vox_offset",)),
            ({"vox_offset": np.nan}, ("vox_offset",)),
            ({"vox_offset": -352}, ("byte -352",)),
            ({"vox_offset": 0}, ("vox_offset",)),
            ({"vox_offset": 360.5}, ("360.5",)),
            ({"vox_offset": 1e9}, ("truncated", "1000000720")),
            ({"dim": [4, 3, 4, 0, 6, 1, 1, 1]}, ("3 × 4 × 0 × 6 voxels", "dim")),
            ({"dim": [4, 3, 4, -5, 6, 1, 1, 1]}, ("-5",)),
            ({"dim": [0, 3, 4, 5, 6, 1, 1, 1]}, ("dim[0] = 0",)),
            ({"dim": [9, 3, 4, 5, 6, 1, 1, 1]}, ("dim[0] = 9",)),
            ({"dim": [2, 3, 4, 5, 6, 1, 1, 1]}, ("four dimensions",)),
            ({"dim": [7, *[32767] * 7]}, ("four dimensions",)),
            ({"dim": [4, *[32767] * 4, 1, 1, 1]}, ("truncated",)),
            ({"dim": [4, 3, 4, 5, 5, 1, 1, 1]}, ("goes on after", "5 frames of int16")),
            ({"datatype": 3}, ("datatype = 3",)),
            ({"datatype": 32}, ("complex64",)),
            ({"datatype": 128}, ("values of type",)),
            ({"datatype": 2}, ("goes on after",)),
            ({"magic": b"ni1"}, (".hdr and .img",)),
            ({"magic": b""}, ("ANALYZE", "orientation")),
            ({"sizeof_hdr": 7}, ("no NIfTI header",)),
            ({"xyzt_units": 5}, ("xyzt_units",)),
            ({"xyzt_units": 1}, ("2000 × 3000 × 4000 mm", "meter")),
            ({"srow_x": [0, 0, 0, 0]}, ("0 × 3 × 4 mm",)),
            ({"srow_x": [np.nan, 0, 0, 0]}, ("not finite",)),
            ({"srow_x": [1e30, 0, 0, 0]}, ("not possible",)),
            ({"srow_x": [0, 2, 0, 0]}, ("not possible", "0 ×")),
            ({"srow_x": [2, 2, 0, 0], "srow_y": [2, 2, 0, 0]}, ("not invertible",)),
            ({"sform_code": 0, "pixdim": [1, 0, 3, 4, 1, 1, 1, 1]}, ("0 × 3 × 4 mm",)),
            ({"sform_code": 0, "pixdim": [1, -2, 3, 4, 1, 1, 1, 1]}, ("qform can't be read", "pixdim")),
            ({"sform_code": 0, "pixdim": [1, np.nan, 3, 4, 1, 1, 1, 1]}, ("not finite",)),
            ({"sform_code": 0, "quatern_b": 3}, ("qform can't be read",)),
        ],
    )
    def test_that_are_impossible_are_named(
        self, tmp_path: Path, fields: dict[str, Any], words: tuple[str, ...]
    ) -> None:
        for name in ("scan.nii", "scan.nii.gz"):
            fault(write(tmp_path, content(**fields), name), *words)

    @pytest.mark.parametrize(
        ("fields", "word"),
        [
            ({"sform_code": 0, "qform_code": 0}, "no orientation"),
            ({"srow_x": [2, 0, 0, -10]}, "swap left and right"),
            ({"srow_x": [-2.5, 0, 0, 10]}, "2 × 3 × 4 by qform, of 2.5 × 3 × 4"),
            ({"qform_code": 0, "pixdim": [1, 1, 1, 1, 1, 1, 1, 1]}, "1 × 1 × 1 by pixdim"),
            ({"srow_x": [-2, 0, 0, 40]}, "up to 30 apart"),
            ({"quatern_b": 3}, "qform of the image header can't be read"),
            ({"xyzt_units": 0}, "no unit of length"),
        ],
    )
    def test_that_contradict_each_other_are_told(self, tmp_path: Path, fields: dict[str, Any], word: str) -> None:
        uri = write(tmp_path, content(**fields))
        (warning,) = warnings_of(uri)
        assert word in warning
        np.testing.assert_array_equal(read(uri), VALUES.T)

    def test_that_name_two_spaces_do_not_contradict(self, tmp_path: Path) -> None:
        assert warnings_of(write(tmp_path, content(sform_code=4, srow_x=[-2, 0, 0, 40]))) == ()
        assert warnings_of(write(tmp_path, content(sform_code=0, pixdim=[0, 2, 3, 4, 1, 1, 1, 1]))) == ()


class TestFiles:
    def test_a_stream_is_cut_off_past_its_header(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        written = []
        unpack = gzip.GzipFile.read

        def counted(stream: gzip.GzipFile, size: int | None = -1) -> bytes:
            block = unpack(stream, size)
            written.append(len(block))
            return block

        monkeypatch.setattr(gzip.GzipFile, "read", counted)
        fault(write(tmp_path, content() + bytes(50_000_000), "scan.nii.gz"), "goes on after the 1072 bytes")
        assert sum(written) < 3_000_000

    def test_no_more_is_unpacked_than_there_is_room(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        uri = write(tmp_path, content(), "scan.nii.gz")
        usage = type("Usage", (), {"free": 1000})
        monkeypatch.setattr("dlif_core.ingest.nifti.shutil.disk_usage", lambda _: usage)
        with pytest.raises(ConfigurationError, match="GB free") as caught:
            read(uri)
        assert "TMPDIR" in caught.value.hint
        assert uri in caught.value.message

    @pytest.mark.parametrize(
        ("data", "word"),
        [
            (gzip.compress(content()), "compressed twice"),
            (bytes(128) + b"DICM" + bytes(600), "DICOM"),
            (b"MATRIX72v" + bytes(600), "ECAT"),
            (b"\0\0\0\1" + bytes(600), "MGH"),
            (content()[:300], "truncated: 300 bytes of 348"),
            (content()[:900], "truncated: 900 bytes"),
            (b"x", "begins with the bytes 78"),
        ],
    )
    def test_that_are_something_else(self, tmp_path: Path, data: bytes, word: str) -> None:
        fault(write(tmp_path, data, "scan.nii.gz"), word)
        if not data.startswith(b"\x1f\x8b"):
            fault(write(tmp_path, data), word)

    def test_that_are_no_files(self, tmp_path: Path) -> None:
        fault(str(tmp_path), "folder", kind=InputError)
        fault(str(tmp_path / "none.nii"), "not there", kind=MissingInputError)
        (tmp_path / "scan.nii.gz").write_bytes(b"/annex/objects/MD5E-s1--0.nii.gz\n")
        fault(str(tmp_path / "scan.nii.gz"), "git-annex", "datalad get", kind=MissingInputError)


class TestLabels:
    def read(self, folder: Path, labels: np.ndarray, **fields: Any) -> np.ndarray:
        uri = write(folder, content(labels, **fields), "dseg.nii.gz")
        with open_image(write(folder, content())) as image:
            return read_labels(uri, image)

    def labels(self, *values: Any, kind: Any) -> np.ndarray:
        found = np.zeros(VALUES.shape[:3], kind)
        found[0], found[1] = values
        return found

    @pytest.mark.parametrize("kind", [np.int32, np.uint32, np.int64, np.uint64, np.float64])
    def test_of_nine_digits_are_exact(self, tmp_path: Path, kind: Any) -> None:
        labels = self.labels(614454277, 312782546, kind=kind)
        found = self.read(tmp_path, labels)
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, labels.T)

    def test_scaled_by_whole_numbers_are_exact(self, tmp_path: Path) -> None:
        labels = self.labels(1, 50_000_001, kind=np.int32)
        np.testing.assert_array_equal(self.read(tmp_path, labels, scl_slope=3, scl_inter=2), 3 * labels.T + 2)

    def test_may_have_a_time_axis_of_one(self, tmp_path: Path) -> None:
        labels = self.labels(1, 2, kind=np.uint8)
        np.testing.assert_array_equal(self.read(tmp_path, labels[..., np.newaxis]), labels.T)

    @pytest.mark.parametrize(
        ("values", "kind", "words"),
        [
            ((1, 2**63), np.uint64, ("9223372036854775808", "64 bits")),
            ((1, 1e300), np.float64, ("rounds whole numbers",)),
            ((1, 614454277), np.float32, ("614454272 as float32", "Store the labels as integers")),
            ((1, 1.5), np.float32, ("not whole numbers",)),
            ((1, np.nan), np.float32, ("not finite",)),
        ],
    )
    def test_that_can_not_be_stored_say_why(
        self, tmp_path: Path, values: tuple[float, float], kind: Any, words: tuple[str, ...]
    ) -> None:
        with pytest.raises(ImageError) as caught:
            self.read(tmp_path, self.labels(*values, kind=kind))
        for word in words:
            assert word in str(caught.value)
        if "not whole" not in words[0]:
            assert "not whole" not in str(caught.value)

    @pytest.mark.parametrize("kind", [np.uint32, np.int64, np.float64])
    def test_beyond_32_bits_are_numbered_anew(self, tmp_path: Path, kind: Any) -> None:
        labels = self.labels(2**31, 997, kind=kind)
        found = self.read(tmp_path, labels)
        np.testing.assert_array_equal(found, np.where(labels.T == 2**31, 2, labels.T == 997))

    def test_of_several_frames_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="6 frames"):
            self.read(tmp_path, VALUES)

    def test_as_many_as_intensities_are_refused(self) -> None:
        labels = np.arange(30 * 30 * 30, dtype=np.int32).reshape(30, 30, 30)
        with pytest.raises(ImageError, match="27000 different labels"):
            label_means(np.ones((1, 30, 30, 30), np.float32), labels, 8.0, "pet.nii")


def taken(uri: str) -> tuple[NiftiImage, np.ndarray]:
    with open_image(uri) as image:
        return image, image[...]


CHANGES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@CHANGES
@given(place=st.integers(0, 351), value=st.integers(0, 255), second=st.integers(0, 351), other=st.integers(0, 255))
def test_changed_headers_are_read_or_refused(tmp_path: Path, place: int, value: int, second: int, other: int) -> None:
    data = bytearray(content(scl_slope=1))
    data[place], data[second] = value, other
    for name in ("scan.nii", "scan.nii.gz"):
        uri = write(tmp_path, bytes(data), name)
        found = sound_or_told(lambda uri=uri: taken(uri))
        if found is not None:
            image, values = found
            assert values.shape == image.shape
            assert np.isfinite(image.affine).all()
            assert np.linalg.det(image.affine) != 0
            assert sound_or_told(lambda uri=uri: image_geometry(uri)) is not None


@CHANGES
@given(place=st.integers(0, 600), put=st.binary(max_size=4), removed=st.integers(0, 4))
def test_changed_gzip_streams_are_right_or_refused(tmp_path: Path, place: int, put: bytes, removed: int) -> None:
    packed = gzip.compress(content(), 1, mtime=0)
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(packed[:place] + put + packed[place + removed :])
    found = sound_or_told(lambda: read(str(path)))
    if found is not None:
        np.testing.assert_array_equal(found, VALUES.T)
