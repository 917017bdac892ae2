import hashlib
import os
import shutil
from pathlib import Path

import fsspec
import pytest

from dlif_core.errors import InputError, MissingInputError
from dlif_core.store import InputDigests, Store, create_store
from tests.denied_files import denied_copy


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


class TestUnreadable:
    """A file that can't be read has a fault in place of a digest, and hides no other."""

    def fault(self, store: Store, uri: Path | str) -> InputError:
        sound = Path(store.uri) / "sound"
        sound.write_bytes(b"a")
        found = InputDigests(store).of([str(uri), str(sound)])
        assert found[str(sound)] == sha256(b"a")
        fault = found[str(uri)]
        assert isinstance(fault, InputError)
        assert fault.where == str(uri)
        assert fault.hint
        assert str(InputDigests(store).of([str(uri)])[str(uri)]) == str(fault)
        return fault

    def test_a_file_that_is_missing(self, store: Store, tmp_path: Path) -> None:
        fault = self.fault(store, tmp_path / "image.nii")
        assert type(fault) is MissingInputError
        assert fault.message == "the file is not there."

    def test_a_link_that_leads_nowhere(self, store: Store, tmp_path: Path) -> None:
        link = tmp_path / "image.nii"
        link.symlink_to("../.git/annex/objects/key")
        fault = self.fault(store, link)
        assert fault.message == "the file is not there: it is a link that leads nowhere."
        assert "git annex get" in fault.hint

    def test_a_link_in_a_circle(self, store: Store, tmp_path: Path) -> None:
        link = tmp_path / "image.nii"
        link.symlink_to(link)
        assert "can't be read" in self.fault(store, link).message

    def test_a_file_that_may_not_be_read(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "image.nii").write_bytes(b"a")
        uri = denied_copy(f"{tmp_path}/data", "image.nii")
        assert self.fault(store, f"{uri}/image.nii").message == "the file may not be read."

    def test_permission_is_asked_for_although_the_digest_is_known(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "image.nii"
        file.write_bytes(b"a")
        digests = InputDigests(store)
        digests.of([str(file)])

        def denied(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", denied)
        assert isinstance(digests.of([str(file)])[str(file)], InputError)

    @pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
    def test_what_is_no_file_is_not_waited_for(self, store: Store, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "sidecar.json"
        {"fifo": lambda: os.mkfifo(path), "device": lambda: path.symlink_to("/dev/zero"), "folder": path.mkdir}[kind]()
        assert "no file with content" in self.fault(store, path).message

    def test_an_unknown_protocol(self, store: Store) -> None:
        assert "can't be read" in self.fault(store, "nowhere://a/b").message
