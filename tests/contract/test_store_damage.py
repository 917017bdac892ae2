"""Damaged, missing and added files are found."""

import fsspec
import pytest

from dlif_core.errors import ProductDamagedError, ProductMissingError
from dlif_core.store import Store
from tests.contract.products import MAPS, SOURCE, files, overwrite, publish_curve, publish_image


def test_one_flipped_bit_is_found(store: Store) -> None:
    publish_image(store)
    store.verify(SOURCE)
    chunk = next(name for name in files(store.uri) if name.startswith(f"{SOURCE}/activity/c/"))
    data = bytearray(files(store.uri)[chunk])
    data[len(data) // 2] ^= 1
    overwrite(f"{store.uri}/{chunk}", bytes(data))
    with pytest.raises(ProductDamagedError, match="differ from those that were committed"):
        store.verify(SOURCE)


def test_a_lost_and_an_added_file_are_found(store: Store) -> None:
    publish_curve(store, [1, 2])
    publish_curve(store, [1, 2], name=MAPS)
    overwrite(f"{store.uri}/{SOURCE}/extra", b"")
    fs, path = fsspec.url_to_fs(f"{store.uri}/{MAPS}/plasma/zarr.json")
    fs.rm(path)
    for name in (SOURCE, MAPS):
        with pytest.raises(ProductDamagedError):
            store.verify(name)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"schema_version": 1, "warnings": []}'])
def test_a_damaged_marker_is_reported(store: Store, content: bytes) -> None:
    publish_curve(store, [1, 2])
    overwrite(f"{store.uri}/{SOURCE}/commit.json", content)
    with pytest.raises(ProductDamagedError, match="marker"):
        store.marker(SOURCE)


def test_missing_products_say_so(store: Store) -> None:
    for read in (
        store.verify,
        store.open_dataset,
        lambda name: store.read_text(name, "a"),
        lambda name: store.open_array(name, "a"),
    ):
        with pytest.raises(ProductMissingError, match="never committed"):
            read(SOURCE)
    publish_curve(store, [1, 2])
    with pytest.raises(ProductMissingError, match="group 'other'"):
        store.open_dataset(SOURCE, "other")
    with pytest.raises(ProductMissingError, match="array 'other'"):
        store.open_array(SOURCE, "other")
