import hashlib
import os
import shutil
from pathlib import Path

import fsspec
import pytest

from dlif_core.errors import MissingInputError
from dlif_core.store import InputDigests, Store, create_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(str(tmp_path / "store"))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_digests_are_sha256_of_the_files(store: Store, tmp_path: Path) -> None:
    uris = [str(tmp_path / name) for name in ("b", "a")]
    for uri in uris:
        Path(uri).write_bytes(uri.encode())
    assert list(InputDigests(store).of(uris).items()) == [(uri, sha256(uri.encode())) for uri in uris]


def test_a_file_is_read_once(store: Store, tmp_path: Path) -> None:
    # same size and time, other bytes: only who reads the file again can tell
    file = tmp_path / "image.nii.gz"
    file.write_bytes(b"first")
    times = file.stat()
    InputDigests(store).of([str(file)])
    file.write_bytes(b"other")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert InputDigests(store).of([str(file)]) == {str(file): sha256(b"first")}


@pytest.mark.parametrize(("content", "later"), [(b"other", 1000), (b"longer", 0)])
def test_a_change_of_size_or_time_is_noticed(store: Store, tmp_path: Path, content: bytes, later: int) -> None:
    file = tmp_path / "image.nii.gz"
    file.write_bytes(b"first")
    times = file.stat()
    InputDigests(store).of([str(file)])
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns + later))
    assert InputDigests(store).of([str(file)]) == {str(file): sha256(content)}


def test_memory_files_are_noticed_too(store: Store) -> None:
    fs = fsspec.filesystem("memory")
    uri = "memory://digests/curve.tsv"
    for content in (b"one", b"two"):
        fs.pipe_file("/digests/curve.tsv", content)
        assert InputDigests(store).of([uri]) == {uri: sha256(content)}


def test_two_runs_keep_what_both_learnt(store: Store, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(name.encode())
    one, other = InputDigests(store), InputDigests(store)
    one.of([str(tmp_path / "a")])
    other.of([str(tmp_path / "b")])
    cache = store.folder.read(".cache/digests.json").decode()
    assert sha256(b"a") in cache
    assert sha256(b"b") in cache


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"a": 1}', b'{"a": {}}', b"\xff"])
def test_a_damaged_cache_is_ignored(store: Store, tmp_path: Path, damage: bytes) -> None:
    store.folder.write(".cache/digests.json", damage)
    (tmp_path / "a").write_bytes(b"a")
    assert InputDigests(store).of([str(tmp_path / "a")]) == {str(tmp_path / "a"): sha256(b"a")}


def test_the_cache_can_be_thrown_away(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    InputDigests(store).of([str(tmp_path / "a")])
    shutil.rmtree(tmp_path / "store" / ".cache")
    assert InputDigests(store).of([str(tmp_path / "a")]) == {str(tmp_path / "a"): sha256(b"a")}


def test_a_missing_file_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"image\.nii"):
        InputDigests(store).of([str(tmp_path / "image.nii")])
