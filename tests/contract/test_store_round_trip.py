"""What is written to a store comes back as it was."""

import pickle
import string

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from dlif_core.errors import ProductMissingError
from dlif_core.store import Store
from tests.contract.products import CHUNKS, OLD, SHARDS, SOURCE, publish_curve, publish_image

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
    staging.write_dataset(dataset, group, may_miss=("*",))
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
