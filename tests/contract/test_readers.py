"""What every reader must do, whatever its format."""

import json
import pickle
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import fsspec
import numpy as np
import pytest

from dlif_core.checks import Level
from dlif_core.errors import InputError, MissingInputError
from dlif_core.ingest import READERS, IngestedScan, ScanFiles, ScanSource, find_scans, image_geometry, open_scan
from dlif_core.ingest.uris import exists
from dlif_core.store import create_store
from dlif_core.store.digests import InputDigests
from tests.contract.reader_samples import SAMPLES, Sample


@pytest.fixture(autouse=True)
def registered(sample: Sample) -> Iterator[None]:
    """Readers that dlif doesn't bring are in the registry during a test."""
    missing = sample.reader.name not in READERS
    if missing:
        READERS.register(sample.reader)
    yield
    if missing:
        READERS.unregister(sample.reader.name)


@pytest.fixture(params=SAMPLES, ids=lambda sample: sample.reader.name)
def sample(request: pytest.FixtureRequest) -> Sample:
    return request.param


@pytest.fixture
def root(sample: Sample, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    sample.make(folder)
    return folder


def found(sample: Sample, uri: Path | str) -> list[ScanFiles]:
    return sample.reader.find(ScanSource(str(uri), sample.reader.options()))


def values(ingested: IngestedScan) -> dict[str, object]:
    """Everything that an open scan holds but the places of its files, in plain values."""
    scan = ingested.scan
    return {
        "timing": (scan.timing.start.tolist(), scan.timing.duration.tolist()),
        "acquisition": asdict(scan.acquisition) | {"refused": bool(scan.acquisition.refused)},
        "regions": (scan.regions.names, scan.regions.activity.tolist(), str(scan.regions.volume.tolist())),
        "activity": None if scan.activity is None else np.asarray(scan.activity[...]).tolist(),
        "affine": None if scan.affine is None else np.asarray(scan.affine).tolist(),
        "labels": None if scan.labels is None else scan.labels.tolist(),
        "blood": [(one.name, one.arterial, one.time.tolist(), str(one.plasma)) for one in ingested.blood],
        "warnings": ingested.warnings,
        "header": ingested.header,
    }


def read(files: ScanFiles) -> dict[str, object]:
    with open_scan(files) as ingested:
        return values(ingested)


def complaint(files: ScanFiles) -> str:
    """What is said of a scan: why it can't be used, or what was refused of it."""
    try:
        with open_scan(files) as ingested:
            return " ".join(str(finding) for finding in ingested.findings if finding.level is Level.REFUSED)
    except InputError as fault:
        return str(fault) if fault.hint or "faults" in fault.message else ""


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of change of every file below a folder."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


class TestFind:
    def test_scans_have_ids_of_their_own_and_always_the_same(self, sample: Sample, root: Path) -> None:
        scans = found(sample, root)
        assert tuple(files.scan_id for files in scans) == sample.scans
        assert {files.reader for files in scans} == {sample.reader.name}
        assert found(sample, root) == scans

    def test_the_format_is_recognised_where_none_is_given(self, sample: Sample, root: Path) -> None:
        assert find_scans(str(root)) == found(sample, root)

    def test_other_data_are_not_recognised(self, sample: Sample, tmp_path: Path) -> None:
        for other in SAMPLES:
            folder = tmp_path / other.reader.name
            other.make(folder)
            assert sample.reader.recognises(str(folder)) == (other is sample)
        (tmp_path / "empty").mkdir()
        (tmp_path / "file").write_text("text")
        for name in ("empty", "file", "nowhere"):
            assert not sample.reader.recognises(str(tmp_path / name))

    def test_a_source_that_is_not_there_is_named(self, sample: Sample, tmp_path: Path) -> None:
        with pytest.raises(MissingInputError, match="nowhere"):
            found(sample, tmp_path / "nowhere")

    def test_files_travel_between_processes(self, sample: Sample, root: Path) -> None:
        for files in found(sample, root):
            travelled = pickle.loads(pickle.dumps(files))
            assert travelled == files
            assert read(travelled) == read(files)

    def test_a_faulty_scan_hides_no_other(self, sample: Sample, root: Path) -> None:
        sound = [read(files) for files in found(sample, root)[:-1]]
        (root / sample.tables).write_bytes(b"\x00 this is no scan")
        *others, faulty = found(sample, root)
        assert (*(files.scan_id for files in others), faulty.scan_id) == sample.scans
        assert [read(files) for files in others] == sound
        with pytest.raises(InputError, match=Path(sample.tables).name):
            read(faulty)


class TestInputs:
    def test_they_are_files_below_the_root(self, sample: Sample, root: Path) -> None:
        for files in found(sample, root):
            assert files.inputs()
            for name, uri in files.inputs().items():
                assert Path(uri) == root / name
                assert Path(uri).is_file()

    def test_they_are_all_that_a_scan_needs(self, sample: Sample, root: Path, tmp_path: Path) -> None:
        for files in found(sample, root):
            alone = tmp_path / "alone" / files.scan_id
            for name, uri in files.inputs().items():
                (alone / name).parent.mkdir(parents=True, exist_ok=True)
                (alone / name).write_bytes(Path(uri).read_bytes())
            same = next(other for other in found(sample, alone) if other.scan_id == files.scan_id)
            assert list(same.inputs()) == list(files.inputs())
            assert read(same) == read(files)

    def test_each_of_them_is_missed(self, sample: Sample, root: Path) -> None:
        for files in found(sample, root):
            for uri in files.inputs().values():
                away = Path(uri).rename(f"{uri}.away")
                said = complaint(files)
                assert uri in said
                away.rename(uri)
                assert uri not in complaint(files)

    def test_a_change_of_any_of_them_is_seen(self, sample: Sample, root: Path, tmp_path: Path) -> None:
        digests = InputDigests(create_store(str(tmp_path / "store")))
        for files in found(sample, root):
            for uri in files.inputs().values():
                before = digests.of(files.inputs().values())
                Path(uri).write_bytes(Path(uri).read_bytes() + b" ")
                after = digests.of(files.inputs().values())
                assert {one for one in after if after[one] != before[one]} == {uri}


class TestOpen:
    def test_the_image_is_in_becquerel_per_millilitre(self, sample: Sample, root: Path) -> None:
        if sample.image is None:
            pytest.skip("the format has no images")
        with open_scan(found(sample, root)[0]) as ingested:
            activity = ingested.scan.activity
            assert activity is not None
            whole = activity[...]
            assert whole.dtype == np.float32
            np.testing.assert_array_equal(whole, sample.image.astype(np.float32))
            for key in (np.s_[1], np.s_[:, 1:3], np.s_[1:3, 2, ..., ::2], np.s_[..., 1], np.s_[0, 1, 2, 2]):
                np.testing.assert_array_equal(activity[key], whole[key])
            np.testing.assert_allclose(ingested.scan.voxel_size, sample.voxel_size)

    def test_frames_regions_and_voxels_agree_and_are_finite(self, sample: Sample, root: Path) -> None:
        for files in found(sample, root):
            with open_scan(files) as ingested:
                scan = ingested.scan
                assert scan.regions.activity.shape == (len(scan.regions.names), len(scan.timing))
                assert np.isfinite(scan.regions.activity).all()
                if scan.activity is not None:
                    assert scan.activity.shape[0] == len(scan.timing)
                    assert np.isfinite(scan.activity[...]).all()

    def test_geometry_is_that_of_the_image(self, sample: Sample, root: Path) -> None:
        for files in found(sample, root):
            geometry = image_geometry(files)
            with open_scan(files) as ingested:
                scan = ingested.scan
                assert files.has_image == (geometry is not None) == (scan.activity is not None)
                if geometry is not None:
                    assert geometry.shape == scan.activity.shape
                    np.testing.assert_allclose(geometry.voxel_size, scan.voxel_size, rtol=1e-6)

    def test_geometry_of_an_image_that_is_gone_is_refused(self, sample: Sample, root: Path) -> None:
        if sample.image is None:
            pytest.skip("the format has no images")
        files = found(sample, root)[0]
        for uri in files.inputs().values():
            Path(uri).unlink()
        with pytest.raises(InputError):
            image_geometry(files)

    def test_groups_of_regions_come_first(self, sample: Sample, root: Path) -> None:
        for files in found(sample, root):
            with open_scan(files, {"all of them": ("*",)}) as ingested, open_scan(files) as plain:
                assert ingested.scan.regions.names == ("all of them", *plain.scan.regions.names)

    def test_provenance_can_be_written_down(self, sample: Sample, root: Path) -> None:
        for files in found(sample, root):
            with open_scan(files) as ingested:
                assert json.loads(json.dumps(dict(ingested.provenance)))["reader"] == sample.reader.title


class TestPlace:
    def test_any_file_system_gives_the_same(self, sample: Sample, root: Path) -> None:
        memory = fsspec.filesystem("memory")
        memory.put(f"{root}/", "/readers/", recursive=True)
        try:
            there = found(sample, "memory://readers")
            assert find_scans("memory://readers") == there
            for here, remote in zip(found(sample, root), there, strict=True):
                assert list(remote.inputs()) == list(here.inputs())
                assert all(exists(uri) for uri in remote.inputs().values())
                assert image_geometry(remote) == image_geometry(here)
                assert read(remote) == read(here)
        finally:
            memory.rm("/readers", recursive=True)

    def test_nothing_is_written_beside_the_data(self, sample: Sample, root: Path) -> None:
        before = contents(root)
        for files in find_scans(str(root)):
            image_geometry(files)
            read(files)
        assert contents(root) == before
