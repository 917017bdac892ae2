"""A product is visible as a whole or not at all."""

import json
import pickle
from contextlib import suppress
from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr

from dlif_core.errors import ProductDamagedError, ProductMissingError, StoreError
from dlif_core.store import Store, blocks
from dlif_core.store.arrays import write_shard
from tests.contract.products import (
    CHUNKS,
    MAPS,
    NEW,
    OLD,
    SHAPE,
    SHARDS,
    SOURCE,
    curve,
    files,
    overwrite,
    publish_curve,
    publish_image,
)


def test_a_reader_sees_nothing_before_publication(store: Store) -> None:
    staging = store.stage(SOURCE)
    staging.write_dataset(curve([1, 2]))
    assert store.marker(SOURCE) is None
    assert store.products() == {}
    with pytest.raises(ProductMissingError, match="never committed"):
        store.open_dataset(SOURCE)


def test_a_product_is_replaced_as_a_whole(store: Store) -> None:
    publish_image(store)
    publish_curve(store, [1, 2, 3], NEW)
    assert list(store.open_dataset(SOURCE).data_vars) == ["plasma"]
    assert store.marker(SOURCE).fingerprint == NEW.digest
    assert not [name for name in files(store.uri) if name.startswith((".staging", f"{SOURCE}/activity"))]


def test_the_old_product_stays_while_the_new_one_is_written(store: Store) -> None:
    publish_curve(store, [1, 2])
    store.stage(SOURCE).write_dataset(curve([7, 8, 9]))
    assert store.open_dataset(SOURCE)["plasma"].values.tolist() == [1, 2]


def test_a_new_staging_begins_empty(store: Store) -> None:
    store.stage(SOURCE).write_dataset(xr.Dataset({"leftover": 1}))
    publish_curve(store, [1, 2])
    assert list(store.open_dataset(SOURCE).data_vars) == ["plasma"]


def table(values: list[str]) -> xr.Dataset:
    return xr.Dataset({"region": ("row", values), "volume": ("row", np.arange(float(len(values))))})


def test_a_worker_that_follows_a_killed_one_writes_the_same_again(store: Store) -> None:
    """In the staging area that both share; the first may have written any part of it."""
    staging = store.stage("cohort")
    for values in (["liver", "brain", "heart"], ["liver", "brain"]):
        staging.write_dataset(table(values), "regions")
        staging.create_array("map", shape=(4,), shards=(4,), chunks=(2,), dims=("x",))
        staging.write_text("index.tsv", "scan")
    write_shard(staging.uri, "map", (slice(0, 4),), np.ones(4))
    staging.publish(NEW)
    assert store.open_dataset("cohort", "regions")["region"].values.tolist() == ["liver", "brain"]
    assert store.open_dataset("cohort", "regions")["volume"].values.tolist() == [0, 1]


def test_one_writer_of_a_shared_area_makes_the_same_product(store: Store) -> None:
    contents = []
    for is_alone in (False, True):
        staging = store.stage("cohort")
        staging.write_part(0, {"": curve([5])})
        writer = staging.alone() if is_alone else staging
        assert [part("")["plasma"].item() for part in writer.parts()] == [5]
        writer.write_dataset(curve([1, 2]), "curves")
        writer.write_text("index.tsv", "scan")
        writer.publish(OLD)
        contents.append(store.marker("cohort").content)
        assert not [name for name in files(store.uri) if name.startswith(".staging")]
    assert contents[0] == contents[1]
    shared = store.stage("cohort")
    shared.create_array("map", shape=(4,), shards=(4,), chunks=(2,), dims=("x",))
    assert shared.alone() is shared


def test_what_a_killed_worker_had_half_written_is_no_part_of_the_product(store: Store) -> None:
    publish_curve(store, [1, 2], name="cohort")
    expected = store.marker("cohort").content
    staging = store.stage("cohort")
    staging.write_dataset(curve([1, 2]))
    if "://" not in staging.uri:
        for name in (
            "zarr.json.550b402653284a58a8236c61b8aee95c.partial",
            ".report.html.550b402653284a58a8236c61b8aee95c",
        ):
            Path(staging.uri, name).write_bytes(b"{")
    staging.publish(OLD)
    assert store.marker("cohort").content == expected


@pytest.mark.parametrize("moment", ["before", "sealed", "withdrawn", "placed", "after"])
def test_a_worker_that_follows_one_killed_while_it_published_ends_that(
    store: Store, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_curve(store, [1, 2], NEW, "cohort")  # of the same fingerprint, as a cohort has that is made again
    staging = store.stage("cohort")
    given = pickle.dumps(staging)
    staging.write_dataset(curve([7, 8, 9]))
    with monkeypatch.context() as patched, suppress(_KilledError):
        if moment == "placed":
            patched.setattr("dlif_core.store.staging.discard", _killed)
        elif moment in (killed := {"sealed": "withdraw", "withdrawn": "place"}):
            patched.setattr(type(store.folder), killed[moment], _killed)
        if moment != "before":
            staging.publish(NEW)
    follower = pickle.loads(given)
    if not follower.was_published(NEW):
        assert moment == "before"
        follower.write_dataset(curve([7, 8, 9]))
        follower.publish(NEW)
    assert store.open_dataset("cohort")["plasma"].values.tolist() == [7, 8, 9]
    assert not [name for name in files(store.uri) if name.startswith(".staging")]
    assert not store.stage("cohort").was_published(NEW), "a new area has published nothing"


class _KilledError(BaseException):
    pass


def _killed(*_: object, **__: object) -> None:
    raise _KilledError


def test_a_fault_while_writing_frees_the_staging_area(store: Store) -> None:
    """Another process, such as the one that records the fault, must be able to stage the product at once."""

    def write_and_break() -> None:
        with store.stage(SOURCE) as staging:
            staging.write_dataset(curve([1.0]))
            raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        write_and_break()
    assert not any(key.startswith(".staging") for key in files(store.uri))
    assert store.marker(SOURCE) is None


def test_a_shard_that_vanished_is_noticed(store: Store) -> None:
    """Zarr itself would read zeros."""
    with store.stage(SOURCE) as staging:
        staging.create_array("plasma", shape=(2,), shards=(2,), chunks=(2,), dims=("time",))
        write_shard(staging.uri, "plasma", (slice(0, 2),), np.array([1.0, 2.0]))
        staging.publish(OLD)
    store.require_whole(SOURCE)
    fs, path = fsspec.url_to_fs(f"{store.uri_of(SOURCE)}/plasma/c")
    fs.rm(path, recursive=True)
    with pytest.raises(ProductDamagedError, match="0 of 1 shards"):
        store.require_whole(SOURCE)


@pytest.mark.parametrize("lost", ["data.zarr.zip", "zarr.json"])
def test_a_part_that_vanished_is_noticed(store: Store, lost: str) -> None:
    """Neither the pack nor the arrays beside it pass for all that there is."""
    publish_image(store)
    store.require_whole(SOURCE)
    fs, path = fsspec.url_to_fs(f"{store.uri_of(SOURCE)}/{lost}")
    fs.rm(path)
    with pytest.raises(ProductDamagedError):
        store.require_whole(SOURCE)
    with pytest.raises(ProductMissingError):
        store.open_dataset(SOURCE)


def test_a_marker_says_what_was_committed(store: Store) -> None:
    publish_curve(store, [1, 2])
    marker = store.marker(SOURCE)
    assert (marker.product, marker.parts, marker.status) == (SOURCE, {"version": "1"}, "success")
    assert marker.created.endswith("+00:00")
    assert json.loads(files(store.uri)[f"{SOURCE}/commit.json"])["fingerprint"] == OLD.digest
    assert store.open_dataset(SOURCE).attrs == {"fingerprint": OLD.digest, "schema_version": 2}


def test_an_excluded_scan_is_a_record_with_its_reason(store: Store) -> None:
    store.stage(SOURCE).publish(
        OLD, status="excluded", reason="frames overlap.", where="sub-01_pet.json", hint="Correct it.", warnings=["old"]
    )
    marker = store.products()[SOURCE]
    assert (marker.status, marker.reason, marker.where) == ("excluded", "frames overlap.", "sub-01_pet.json")
    assert (marker.hint, marker.warnings) == ("Correct it.", ("old",))
    with pytest.raises(ProductMissingError, match="excluded: frames overlap"):
        store.open_array(SOURCE, "activity")
    with pytest.raises(StoreError, match="needs a reason"):
        store.stage(SOURCE).publish(OLD, status="unavailable")


def test_an_unwritten_shard_stops_the_publication(store: Store) -> None:
    staging = store.stage(SOURCE)
    staging.create_array("Ki", shape=SHAPE[1:], shards=SHARDS[1:], chunks=CHUNKS[1:], dims=("z", "y", "x"))
    first, *_ = blocks(SHAPE[1:], SHARDS[1:])
    write_shard(staging.uri, "Ki", first, np.zeros((32, 20, 20), "float32"))
    with pytest.raises(StoreError, match="1 of 2 shards"):
        staging.publish(OLD)
    assert store.marker(SOURCE) is None


def test_shards_of_nothing_but_the_fill_value_are_written(store: Store) -> None:
    staging = store.stage(SOURCE)
    staging.create_array("Ki", shape=SHAPE[1:], shards=SHARDS[1:], chunks=CHUNKS[1:], dims=("z", "y", "x"))
    for region in blocks(SHAPE[1:], SHARDS[1:]):
        write_shard(staging.uri, "Ki", region, np.zeros([part.stop - part.start for part in region]))
    staging.publish(OLD)
    assert not store.open_array(SOURCE, "Ki")[:].any()


@pytest.mark.parametrize(
    ("region", "shape"),
    [
        ((slice(0, 3), slice(0, 16), slice(0, 20), slice(0, 20)), (3, 16, 20, 20)),
        ((slice(0, 3), slice(16, 40), slice(0, 20), slice(0, 20)), (3, 24, 20, 20)),
        ((slice(0, 3), slice(0, 64), slice(0, 20), slice(0, 20)), (3, 64, 20, 20)),
        ((slice(None), slice(0, 32), slice(0, 20), slice(0, 20)), (3, 32, 20, 20)),
        ((slice(0, 3), slice(0, 32, 2), slice(0, 20), slice(0, 20)), (3, 16, 20, 20)),
        ((slice(0, 3), slice(0, 32)), (3, 32, 20, 20)),
    ],
)
def test_a_region_that_cuts_a_shard_is_refused(store: Store, region: tuple[slice, ...], shape: tuple[int, ...]) -> None:
    staging = store.stage(SOURCE)
    staging.create_array("activity", shape=SHAPE, shards=SHARDS, chunks=CHUNKS, dims=("frame", "z", "y", "x"))
    with pytest.raises(StoreError, match="whole shards"):
        write_shard(staging.uri, "activity", region, np.ones(shape, "float32"))


@pytest.mark.parametrize("values", [np.zeros((3, 1, 20, 20), "float32"), np.zeros((3, 32, 20, 20), "complex64")])
def test_values_that_do_not_fit_are_refused(store: Store, values: np.ndarray) -> None:
    staging = store.stage(SOURCE)
    staging.create_array("activity", shape=SHAPE, shards=SHARDS, chunks=CHUNKS, dims=("frame", "z", "y", "x"))
    with pytest.raises(StoreError, match="values of"):
        write_shard(staging.uri, "activity", blocks(SHAPE, SHARDS)[0], values)


def test_the_same_content_gives_the_same_bytes(store: Store) -> None:
    def content() -> dict[str, bytes]:
        return {name: data for name, data in files(store.uri).items() if not name.endswith("commit.json")}

    publish_image(store)
    publish_curve(store, [1, 2], name=MAPS)
    first, first_marker = content(), store.marker(SOURCE)
    publish_image(store)
    publish_curve(store, [1, 2], name=MAPS)
    assert content() == first
    assert store.marker(SOURCE).content == first_marker.content


def leave_staged(store: Store, values: list[float], lost: str = "") -> None:
    """Leave a staging area as a process does that was killed; without the lost file."""
    publish_curve(store, values, NEW, name="cohort/curve.zarr")
    area = f"{store.uri}/.staging/{SOURCE.replace('/', '!')}"
    for name, data in files(f"{store.uri}/cohort/curve.zarr").items():
        if name != lost:
            overwrite(f"{area}/product/{name}", data)
    overwrite(f"{area}/owner.json", b"")


def test_sweep_forgets_what_was_not_complete(store: Store) -> None:
    publish_curve(store, [1, 2])
    leave_staged(store, [7, 8, 9], lost="commit.json")
    assert SOURCE in store.sweep()
    assert store.open_dataset(SOURCE)["plasma"].values.tolist() == [1, 2]
    assert not [name for name in files(store.uri) if name.startswith(".staging")]


@pytest.mark.parametrize("removed", [(), ("commit.json",), ("commit.json", "data.zarr.zip")])
@pytest.mark.parametrize("finish", ["sweep", "stage"])
def test_a_complete_product_is_published_after_a_crash(store: Store, removed: tuple[str, ...], finish: str) -> None:
    publish_curve(store, [1, 2])
    leave_staged(store, [7, 8, 9])
    fs, path = fsspec.url_to_fs(store.uri_of(SOURCE))
    for name in removed:
        fs.rm(f"{path}/{name}")
    if finish == "sweep":
        store.sweep()
    else:
        store.stage(SOURCE)
    assert store.open_dataset(SOURCE)["plasma"].values.tolist() == [7, 8, 9]
    store.verify(SOURCE)


def test_sweep_leaves_a_live_process_alone(store: Store) -> None:
    staging = store.stage(SOURCE)
    assert store.sweep() == ()
    staging.write_dataset(curve([1, 2]))
    staging.publish(OLD)
    assert store.open_dataset(SOURCE)["plasma"].values.tolist() == [1, 2]


def test_delete_removes_one_product(store: Store) -> None:
    publish_curve(store, [1, 2])
    publish_curve(store, [1, 2], name=MAPS)
    store.delete(SOURCE)
    store.delete(SOURCE)
    assert list(store.products()) == [MAPS]
    assert not [name for name in files(store.uri) if name.startswith((SOURCE, ".staging"))]
