"""What every store does, on a local disk, in memory and, where DLIF_TEST_S3 names a bucket, on S3."""

import json
import os
import pickle
import string
import uuid
from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from dlif_core.errors import ProductDamagedError, ProductMissingError, SchemaVersionError, StoreError
from dlif_core.store import Fingerprint, Store, blocks, create_store, open_store
from dlif_core.store.arrays import write_shard
from dlif_core.store.catalog import build_catalog

SOURCE = "scans/sub-01.zarr/source"
MAPS = "scans/sub-01.zarr/kinetics/patlak/maps"
OLD, NEW = Fingerprint({"version": "1"}), Fingerprint({"version": "2"})
SHAPE, SHARDS, CHUNKS = (3, 40, 20, 20), (3, 32, 32, 32), (3, 16, 16, 16)


S3_BUCKET = os.environ.get("DLIF_TEST_S3")  # such as s3://test; endpoint and keys stand in FSSPEC_S3_…


@pytest.fixture(params=["local", "memory", *(["s3"] if S3_BUCKET else [])])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    unique = uuid.uuid4().hex
    return {"local": f"{tmp_path}/store", "memory": f"memory://{unique}/store", "s3": f"{S3_BUCKET}/{unique}/store"}[
        request.param
    ]


@pytest.fixture
def store(uri: str) -> Store:
    return create_store(uri)


def files(uri: str) -> dict[str, bytes]:
    fs, path = fsspec.url_to_fs(uri, use_listings_cache=False)
    return {name[len(path) + 1 :]: fs.cat_file(name) for name in fs.find(path)}


def overwrite(uri: str, data: bytes) -> None:
    fs, path = fsspec.url_to_fs(uri)
    fs.makedirs(fs._parent(path), exist_ok=True)
    fs.pipe_file(path, data)


def curve(values: list[float]) -> xr.Dataset:
    return xr.Dataset(
        {"plasma": ("time", values, {"units": "Bq/mL"})}, coords={"time": ("time", np.arange(len(values)))}
    )


def publish_curve(store: Store, values: list[float], fingerprint: Fingerprint = OLD, name: str = SOURCE) -> None:
    staging = store.stage(name)
    staging.write_dataset(curve(values))
    staging.publish(fingerprint)


def publish_image(store: Store, name: str = SOURCE) -> np.ndarray:
    image = np.random.default_rng(1).normal(size=SHAPE).astype("float32")
    staging = store.stage(name)
    staging.create_array(
        "activity", shape=SHAPE, shards=SHARDS, chunks=CHUNKS, dims=("frame", "z", "y", "x"), attrs={"units": "Bq/mL"}
    )
    staging.write_dataset(xr.Dataset(coords={"frame_start": ("frame", [0.0, 5.0, 9.0], {"units": "s"})}))
    for region in blocks(SHAPE, SHARDS):
        write_shard(staging.uri, "activity", region, image[region])
    staging.publish(OLD)
    return image


# -- round trips -----------------------------------------------------------------------------------------------------

names = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=8).filter(lambda n: n[0] != "_")
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
numbers = st.integers(-(2**31), 2**31) | st.floats(allow_nan=False, allow_infinity=False)
attributes = st.dictionaries(
    names, words | numbers | st.lists(numbers, max_size=3) | st.lists(words, max_size=3), max_size=3
)
dtypes = st.sampled_from(["float32", "float64", "int16", "int32", "int64", "uint8", "bool"])


@st.composite
def datasets(draw: st.DrawFn) -> xr.Dataset:
    sizes = draw(st.dictionaries(names.map(lambda n: f"dim_{n}"), st.integers(1, 5), max_size=3))
    variables = {}
    for name in draw(st.sets(names, min_size=1, max_size=4)):
        dims = draw(st.permutations(sorted(sizes)))[: draw(st.integers(0, len(sizes)))]
        shape = tuple(sizes[dim] for dim in dims)
        text = draw(st.booleans())
        values = (
            draw(npst.arrays("U6", shape, elements=words.map(lambda w: w[:6].rstrip("\0"))))
            if text
            else draw(npst.arrays(draw(dtypes), shape))
        )
        variables[name] = (tuple(dims), values, draw(attributes))
    return xr.Dataset(variables, attrs=draw(attributes))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(dataset=datasets(), group=st.sampled_from(["", "regions", "a/b"]))
def test_a_dataset_comes_back_as_it_was(store: Store, dataset: xr.Dataset, group: str) -> None:
    staging = store.stage(SOURCE)
    staging.write_dataset(dataset, group)
    staging.publish(OLD)
    found = store.open_dataset(SOURCE, group).load()
    for own in ("fingerprint", "schema_version"):
        found.attrs.pop(own, None)
    xr.testing.assert_identical(found.drop_encoding(), dataset)
    kinds = {name: variable.dtype for name, variable in dataset.variables.items() if variable.dtype.kind != "U"}
    assert {name: found[name].dtype for name in kinds} == kinds
    store.verify(SOURCE)


def test_an_image_comes_back_as_it_was(store: Store) -> None:
    image = publish_image(store)
    array = store.open_array(SOURCE, "activity")
    np.testing.assert_array_equal(array[:, 5:35, 3, :], image[:, 5:35, 3, :])
    dataset = store.open_dataset(SOURCE)
    np.testing.assert_array_equal(dataset["activity"], image)
    assert dataset["activity"].dims == ("frame", "z", "y", "x")
    assert dataset["activity"].dtype == np.float32
    assert dataset["frame_start"].attrs == {"units": "s"}
    assert (array.shards, array.chunks) == (SHARDS, CHUNKS)


def test_a_time_unit_in_words_stays_a_number(store: Store) -> None:
    staging = store.stage(SOURCE)
    staging.write_dataset(xr.Dataset({"delay": ((), 3, {"units": "seconds"})}))
    staging.publish(OLD)
    assert store.open_dataset(SOURCE)["delay"].dtype == np.int64


def test_text_comes_back_as_it_was(store: Store) -> None:
    staging = store.stage("reports/sub-01")
    staging.write_text("report.html", "<p>K₁ = 0.1 min⁻¹</p>")
    staging.write_text("figures/curve.svg", "<svg/>")
    staging.publish(OLD)
    assert store.read_text("reports/sub-01", "report.html") == "<p>K₁ = 0.1 min⁻¹</p>"
    assert store.read_text("reports/sub-01", "figures/curve.svg") == "<svg/>"
    with pytest.raises(ProductMissingError, match=r"file 'other\.html'"):
        store.read_text("reports/sub-01", "other.html")


@pytest.mark.filterwarnings("error")
def test_arrays_and_files_stand_side_by_side(store: Store) -> None:
    staging = store.stage(SOURCE)
    staging.write_dataset(xr.Dataset({"name": ("region", ["striatum", "Kleinhirn"])}))
    staging.write_text("header.txt", "as it came")
    staging.publish(OLD)
    assert store.open_dataset(SOURCE)["name"].values.tolist() == ["striatum", "Kleinhirn"]
    assert store.read_text(SOURCE, "header.txt") == "as it came"


def test_a_store_travels_by_pickle(store: Store) -> None:
    publish_curve(store, [1, 2])
    assert pickle.loads(pickle.dumps(store)).marker(SOURCE) == store.marker(SOURCE)


# -- commit ----------------------------------------------------------------------------------------------------------


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
        staging.write_dataset(curve([1.0, 2.0]))
        staging.publish(OLD)
    store.require_whole(SOURCE)
    fs, path = fsspec.url_to_fs(f"{store.uri_of(SOURCE)}/plasma/c")
    fs.rm(path, recursive=True)
    with pytest.raises(ProductDamagedError, match="0 of 1 shards"):
        store.require_whole(SOURCE)


def test_a_marker_says_what_was_committed(store: Store) -> None:
    publish_curve(store, [1, 2])
    marker = store.marker(SOURCE)
    assert (marker.product, marker.parts, marker.status) == (SOURCE, {"version": "1"}, "success")
    assert marker.created.endswith("+00:00")
    assert json.loads(files(store.uri)[f"{SOURCE}/commit.json"])["fingerprint"] == OLD.digest
    assert store.open_dataset(SOURCE).attrs == {"fingerprint": OLD.digest, "schema_version": 1}


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


@pytest.mark.parametrize("removed", [(), ("commit.json",), ("commit.json", "plasma/c/0", "zarr.json")])
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


# -- layout ----------------------------------------------------------------------------------------------------------


def test_a_scan_is_a_zarr_group_of_its_products(store: Store) -> None:
    publish_curve(store, [1, 2])
    publish_curve(store, [3, 4], name=MAPS)
    store.stage("scans/sub-01.zarr/input_functions/arterial").publish(OLD, status="unavailable", reason="no blood.")
    scan = zarr.open_group(f"{store.uri}/scans/sub-01.zarr", mode="r")
    assert scan["source"]["plasma"][:].tolist() == [1, 2]
    assert scan["kinetics/patlak/maps/plasma"][:].tolist() == [3, 4]
    assert sorted(scan.group_keys()) == ["input_functions", "kinetics", "source"]
    assert store.uri_of(SOURCE) == f"{store.uri}/{SOURCE}"


def test_products_are_found_by_prefix(store: Store) -> None:
    for name in ("scans/sub-01.zarr/source", "scans/sub-01.zarr/kinetics/a/maps", "scans/sub-010.zarr/source"):
        store.stage(name).publish(OLD)
    assert list(store.products("scans/sub-01.zarr")) == [
        "scans/sub-01.zarr/kinetics/a/maps",
        "scans/sub-01.zarr/source",
    ]
    assert list(store.products(SOURCE)) == [SOURCE]
    assert store.products("scans/sub-99.zarr") == {}
    assert len(store.products("scans/")) == len(store.products()) == 3


def test_a_product_cannot_lie_in_another(store: Store) -> None:
    publish_curve(store, [1, 2], name=MAPS)
    for name in (f"{MAPS}/inner", "scans/sub-01.zarr/kinetics"):
        with pytest.raises(StoreError, match="in the way"):
            store.stage(name)


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", "a//b", ".staging/a", "a b", "a/commit.json", "a!b", "ü"])
def test_impossible_names_are_refused(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="can't be a name"):
        store.stage(name)


def test_a_store_must_be_made_before_it_is_opened(uri: str) -> None:
    with pytest.raises(StoreError, match=r"no dlif store.*dlif"):
        open_store(uri)
    create_store(uri)
    assert open_store(uri).products() == {}
    assert create_store(uri).products() == {}


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ('{"format": "dlif-store", "schema_version": 99}', "Update dlif"),
        ('{"format": "dlif-store"}', "new store"),
        ("[]", "Restore it"),
        ("{", "Restore it"),
    ],
)
def test_another_schema_version_is_refused(store: Store, content: str, hint: str) -> None:
    overwrite(f"{store.uri}/dlif-store.json", content.encode())
    with pytest.raises(SchemaVersionError, match=hint):
        open_store(store.uri)


# -- damage ----------------------------------------------------------------------------------------------------------


def test_one_flipped_bit_is_found(store: Store) -> None:
    publish_image(store)
    store.verify(SOURCE)
    chunk = next(name for name in files(store.uri) if name.startswith(f"{SOURCE}/activity/c/"))
    data = bytearray(files(store.uri)[chunk])
    data[len(data) // 2] ^= 1
    overwrite(f"{store.uri}/{chunk}", bytes(data))
    with pytest.raises(ProductDamagedError, match="not those that were committed"):
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


# -- catalog ---------------------------------------------------------------------------------------------------------


def test_the_catalog_lists_scans_and_products(store: Store) -> None:
    publish_curve(store, [1, 2])
    store.stage("scans/sub-02.zarr/source").publish(NEW, status="excluded", reason="no dose.")
    store.stage("reports/sub-01").publish(OLD)
    store.stage("cohort/regions").publish(OLD)
    catalog = build_catalog(store)
    assert catalog[["scan", "product", "status", "reason"]].to_numpy().tolist() == [
        ["", "cohort/regions", "success", ""],
        ["sub-01", "report", "success", ""],
        ["sub-01", "source", "success", ""],
        ["sub-02", "source", "excluded", "no dose."],
    ]
    assert catalog["fingerprint"].iloc[3] == NEW.digest
    assert str(catalog["created"].dtype).endswith("UTC]")


def test_the_catalog_of_an_empty_store_is_empty(store: Store) -> None:
    assert len(build_catalog(store)) == 0
