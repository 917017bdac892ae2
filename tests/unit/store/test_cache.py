"""Files that only remember what can be read again stop nothing, whatever they hold and wherever they lie."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dlif_core.store import Fingerprint, InputDigests, Store, create_store, open_store
from dlif_core.store import cache as caches
from dlif_core.store import folder as folders
from dlif_core.store.layout import DIGEST_CACHE, MARKER_CACHE
from dlif_core.store.marker import Marker

PRODUCT = "reports/a"


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").write_text("x")


def a_link_in_a_circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def a_file_for_the_folder(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_text("x")


def other_types(path: Path) -> None:
    """What is right of an entry stays, so that it is found; its values are of no type that they could be."""
    content = json.loads(path.read_text())
    for name, entry in content.items():
        odd = {"sha256": 5} if isinstance(entry, dict) else [entry[0], 5, "unheard of", 5, 5]
        content[name] = entry | odd if isinstance(entry, dict) else odd
    path.write_text(json.dumps(content))


STRANGE: dict[str, Callable[[Path], object]] = {
    "empty": write(b""),
    "bytes": write(bytes(range(256))),
    "a list": write(b"[1, 2]"),
    "a number": write(b"7"),
    "entries that are none": write(json.dumps({PRODUCT: 5, "other": ["a"], "more": None}).encode()),
    "nested deeply": write(b'{"a":' * 100_000),
    "other types": other_types,
    "a folder": a_folder,
    "a link in a circle": a_link_in_a_circle,
    "a file for the folder": a_file_for_the_folder,
}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with a product whose marker, and an input file whose digest, are remembered."""
    monkeypatch.setattr(folders, "_SETTLED_NS", 0)
    caches._tell.cache_clear()
    store = create_store(str(tmp_path / "store"))
    store.stage(PRODUCT).publish(Fingerprint({}))
    Path(tmp_path, "input").write_text("x")
    known(store)
    assert all(Path(store.uri, name).is_file() for name in (DIGEST_CACHE, MARKER_CACHE))
    return store


def known(store: Store) -> tuple[object, ...]:
    digests = InputDigests(store).of([str(Path(store.uri).parent / "input")])
    return open_store(store.uri).briefs([PRODUCT]), digests


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("file", [DIGEST_CACHE, MARKER_CACHE])
def test_a_strange_cache_is_told_once_and_changes_nothing(
    file: str, name: str, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    before = known(store)
    STRANGE[name](Path(store.uri, file))
    with caplog.at_level(logging.WARNING):
        assert known(store) == before
        assert known(store) == before
    told = [record.getMessage() for record in caplog.records if f"{store.uri}/{file} can't be read" in record.message]
    assert len(told) == 1
    assert "can be deleted" in told[0]
    assert Marker.from_json(Path(store.uri, PRODUCT, "commit.json").read_bytes(), where="")


@pytest.mark.parametrize("name", ["empty", "a list", "other types"])
def test_a_strange_file_is_written_anew(name: str, store: Store) -> None:
    files = [Path(store.uri, file) for file in (DIGEST_CACHE, MARKER_CACHE)]
    before = [file.read_text() for file in files]
    for file in files:
        STRANGE[name](file)
    known(store)
    assert [file.read_text() for file in files] == before


def test_what_cannot_be_written_leaves_no_rest(store: Store) -> None:
    for file in (DIGEST_CACHE, MARKER_CACHE):
        a_folder(Path(store.uri, file))
    known(store)
    assert sorted(path.name for path in Path(store.uri, ".cache").iterdir()) == ["digests.json", "markers.json"]
