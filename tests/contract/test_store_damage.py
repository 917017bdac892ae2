"""Damaged, missing and added files are found."""

import contextlib

import fsspec
import pytest
from zarr.codecs import BloscCodec

from dlif_core.errors import InputError, ProductDamagedError, ProductMissingError
from dlif_core.store import Store, arrays
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
    publish_image(store, name=MAPS)
    overwrite(f"{store.uri}/{SOURCE}/extra", b"")
    fs, path = fsspec.url_to_fs(f"{store.uri}/{MAPS}/activity/zarr.json")
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


def damage_shard(store: Store, how: str) -> None:
    chunk = next(name for name in files(store.uri) if name.startswith(f"{SOURCE}/activity/c/"))
    data = bytearray(files(store.uri)[chunk])
    if how == "vanished":
        fs, path = fsspec.url_to_fs(f"{store.uri}/{chunk}")
        fs.rm(path)
        return
    if how == "halved":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 3] ^= 0xFF
    overwrite(f"{store.uri}/{chunk}", bytes(data))


class TestReading:
    @pytest.mark.parametrize("position", [0.1, 0.3, 0.5, 0.7, 0.9])
    def test_a_changed_byte_is_never_read_as_another_number(self, store: Store, position: float) -> None:
        """Of noise, compression alone notices one changed byte in twenty."""
        publish_image(store)
        chunk = next(name for name in files(store.uri) if name.startswith(f"{SOURCE}/activity/c/"))
        data = bytearray(files(store.uri)[chunk])
        data[int(position * len(data))] ^= 1
        overwrite(f"{store.uri}/{chunk}", bytes(data))
        with pytest.raises(ValueError, match="checksum"):
            store.open_array(SOURCE, "activity")[:]

    @pytest.mark.parametrize("position", [0.01, 0.2, 0.4, 0.6, 0.8, 0.99])
    def test_a_changed_byte_of_a_pack_is_noticed(self, store: Store, position: float) -> None:
        publish_curve(store, [1.0, 2.0, 3.0])
        data = bytearray(files(store.uri)[f"{SOURCE}/data.zarr.zip"])
        data[int(position * len(data))] ^= 1
        overwrite(f"{store.uri}/{SOURCE}/data.zarr.zip", bytes(data))
        with pytest.raises(ProductDamagedError):
            store.verify(SOURCE)
        with contextlib.suppress(ProductDamagedError):  # unless it is a byte that nobody reads, such as a time
            assert store.open_dataset(SOURCE)["plasma"].values.tolist() == [1.0, 2.0, 3.0]

    @pytest.mark.parametrize("how", ["flipped", "halved", "vanished"])
    def test_damage_is_told_by_product_and_array_with_what_to_do(self, store: Store, how: str) -> None:
        publish_image(store)
        damage_shard(store, how)

        def read() -> None:
            with store.blaming([SOURCE, MAPS]):
                store.require_whole(SOURCE)
                store.open_array(SOURCE, "activity")[:]

        for tell in (read, lambda: store.verify(SOURCE)):
            with pytest.raises(
                ProductDamagedError, match=r"array 'activity'.*Delete this folder and run the study"
            ) as fault:
                tell()
            assert fault.value.where == store.uri_of(SOURCE)

    def test_a_fault_of_something_else_stays_what_it_is(self, store: Store) -> None:
        publish_image(store)
        with pytest.raises(ZeroDivisionError), store.blaming([SOURCE]):
            raise ZeroDivisionError
        damage_shard(store, "flipped")
        with pytest.raises(InputError, match="no dose"), store.blaming([SOURCE]):
            raise InputError("no dose.")

    @pytest.mark.parametrize("content", [b"", b"{", b"[]"])
    def test_damaged_metadata_are_told(self, store: Store, content: bytes) -> None:
        publish_image(store)
        overwrite(f"{store.uri}/{SOURCE}/zarr.json", content)
        with pytest.raises(ProductDamagedError, match="metadata can't be read"):
            store.require_whole(SOURCE)

    def test_products_without_checksums_are_compared_before_they_are_read(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(arrays, "_compressors", lambda *, text=False: BloscCodec(shuffle="shuffle"))
        publish_image(store)
        store.require_whole(SOURCE)
        damage_shard(store, "flipped")
        with pytest.raises(ProductDamagedError, match="differ from those that were committed"):
            store.require_whole(SOURCE)
