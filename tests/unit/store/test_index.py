"""What is remembered of markers never speaks for a product that is missing, or was made again."""

import os
from pathlib import Path

import pytest

from dlif_core.errors import ProductDamagedError
from dlif_core.store import Fingerprint, Store, create_store, open_store
from dlif_core.store import folder as folders
from dlif_core.store.layout import MARKER_CACHE

NAMES = ("scans/a.zarr/source", "reports/a")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with two products, whose markers count as settled at once."""
    monkeypatch.setattr(folders, "_SETTLED_NS", 0)
    store = create_store(str(tmp_path / "store"))
    for name in NAMES:
        publish(store, name, "1")
    return store


def publish(store: Store, name: str, version: str) -> None:
    store.stage(name).publish(Fingerprint({"version": version}))


def fingerprints(store: Store) -> dict[str, str]:
    return {name: brief.fingerprint for name, brief in open_store(store.uri).briefs([*NAMES, "never/made"]).items()}


def made(version: str) -> str:
    return Fingerprint({"version": version}).digest


def test_it_tells_what_the_markers_tell(store: Store) -> None:
    store.stage("scans/a.zarr/maps").publish(
        Fingerprint({}), status="excluded", reason="no image", findings=[{"check": "image", "level": "doubt"}]
    )
    for _ in range(2):  # read, and remembered
        brief = store.briefs(["scans/a.zarr/maps"])["scans/a.zarr/maps"]
        assert (brief.status, brief.reason) == ("excluded", "no image")
        assert brief.findings == ({"check": "image", "level": "doubt"},)
    assert fingerprints(store) == dict.fromkeys(NAMES, made("1"))


def test_markers_are_read_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprints(store)
    monkeypatch.setattr(folders.LocalFolder, "read_all", lambda _self, keys: dict.fromkeys(keys, b""))
    assert fingerprints(store) == before


def test_a_product_that_was_made_again_is_noticed(store: Store) -> None:
    """Its marker has the same time, and mostly the same size too."""
    fingerprints(store)
    marker = Path(store.uri, NAMES[0], "commit.json")
    times = marker.stat()
    publish(store, NAMES[0], "2")
    os.utime(marker, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fingerprints(store) == {NAMES[0]: made("2"), NAMES[1]: made("1")}


def test_a_product_that_is_gone_is_noticed(store: Store) -> None:
    fingerprints(store)
    store.delete(NAMES[0])
    assert fingerprints(store) == {NAMES[1]: made("1")}
    assert NAMES[0] not in store.folder.read(MARKER_CACHE).decode()


def test_a_marker_that_changed_in_place_is_noticed(store: Store) -> None:
    fingerprints(store)
    Path(store.uri, NAMES[0], "commit.json").write_text("{")
    with pytest.raises(ProductDamagedError):
        fingerprints(store)


def test_a_marker_of_just_now_is_not_remembered(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The times of some file systems are seconds long: a later change may leave them as they are."""
    monkeypatch.setattr(folders, "_SETTLED_NS", 3_000_000_000)
    assert fingerprints(store) == dict.fromkeys(NAMES, made("1"))
    assert not store.folder.exists(MARKER_CACHE)


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"reports/a": 1}', b'{"reports/a": []}', b"\xff"])
def test_a_damaged_cache_is_ignored(store: Store, damage: bytes) -> None:
    store.folder.write(MARKER_CACHE, damage)
    assert fingerprints(store) == dict.fromkeys(NAMES, made("1"))


def test_a_store_in_memory_is_read_anew() -> None:
    """Nothing tells its files apart for sure."""
    store = create_store("memory://index")
    for version in ("1", "2"):
        publish(store, "reports/a", version)
        assert store.briefs(["reports/a"])["reports/a"].fingerprint == made(version)
    store.delete("reports/a")
    assert store.briefs(["reports/a"]) == {}
