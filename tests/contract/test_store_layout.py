"""Names of products, schema versions, and the catalog of a store."""

import warnings
from pathlib import Path

import pytest
import xarray as xr
import zarr
from hypothesis import example, given
from hypothesis import strategies as st
from zarr.storage import ZipStore

from dlif_core.errors import SchemaVersionError, StoreError
from dlif_core.store import Fingerprint, Store, create_store, open_store
from dlif_core.store.catalog import build_catalog
from dlif_core.store.layout import LONGEST_PART, part_for, require_path
from tests.contract.products import MAPS, NEW, OLD, SOURCE, curve, files, overwrite, publish_curve, publish_image


def test_a_scan_is_a_zarr_group_of_its_products_with_images(store: Store) -> None:
    image = publish_image(store)
    publish_image(store, name=MAPS)
    store.stage("scans/sub-01.zarr/input_functions/arterial").publish(OLD, status="unavailable", reason="no blood.")
    with warnings.catch_warnings(action="ignore"):  # Zarr tells of the files that are none of its own
        scan = zarr.open_group(f"{store.uri}/scans/sub-01.zarr", mode="r")
        assert scan["source"]["activity"][:].tolist() == image.tolist()
        assert scan["kinetics/patlak/maps/activity"][:].tolist() == image.tolist()
        assert sorted(scan.group_keys()) == ["kinetics", "source"]
    assert store.uri_of(SOURCE) == f"{store.uri}/{SOURCE}"


def test_small_datasets_are_one_file_that_zarr_opens(store: Store, tmp_path: Path) -> None:
    publish_curve(store, [1, 2])
    assert sorted(files(store.uri_of(SOURCE))) == ["commit.json", "data.zarr.zip"]
    (tmp_path / "pack.zip").write_bytes(files(store.uri_of(SOURCE))["data.zarr.zip"])
    opened = xr.open_zarr(ZipStore(tmp_path / "pack.zip"))
    assert opened["plasma"].values.tolist() == [1, 2]
    xr.testing.assert_identical(opened.load(), store.open_dataset(SOURCE).load())


def test_the_same_content_has_the_same_bytes(store: Store) -> None:
    publish_curve(store, [1, 2])
    first = store.marker(SOURCE)
    publish_curve(store, [1, 2])
    again = store.marker(SOURCE)
    assert first is not None
    assert again is not None
    assert first.content == again.content


def test_a_large_dataset_is_not_packed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlif_core.store.staging._SMALL", 100)
    staging = store.stage(SOURCE)
    staging.write_dataset(curve([1.0, 2.0]), group="small")
    staging.write_dataset(curve([1.0] * 100), group="large")
    staging.publish(OLD)
    assert f"{SOURCE}/large/plasma/zarr.json" in files(store.uri)
    assert not [name for name in files(store.uri) if "small" in name]
    assert store.open_dataset(SOURCE, "small")["plasma"].values.tolist() == [1.0, 2.0]
    assert store.open_dataset(SOURCE, "large").sizes == {"time": 100}


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


class TestParts:
    @pytest.mark.parametrize("text", ["sub-01_ses-a", "a" * LONGEST_PART, "a.b+c_d-e"])
    def test_a_name_that_can_be_is_kept(self, text: str) -> None:
        assert part_for(text) == text

    @given(st.text(st.characters()))
    @example("sub-Müller")
    @example("a/b")
    @example("..")
    @example("commit.json")
    @example("\udcff")
    @example("a" * 500)
    def test_any_text_gets_a_name(self, text: str) -> None:
        assert require_path(part_for(text)) == part_for(text)
        assert len(part_for(text)) <= LONGEST_PART
        assert part_for(part_for(text)) == part_for(text)

    def test_texts_keep_apart_and_can_be_recognised(self) -> None:
        texts = ["a" * 500, "a" * 501, "Maus ä", "Maus ö", "Maus_", "sub-1/2", "sub-1 2", "sub-1_2"]
        assert len({part_for(text) for text in texts}) == len(texts)
        assert part_for("Maus ä").startswith("Maus_")

    def test_the_longest_names_of_a_study_can_be_staged(self, store: Store) -> None:
        scan = part_for("s" * 500)
        product = f"scans/{scan}.zarr/kinetics/{'k' * 64}/regions"
        publish_curve(store, [1, 2], name=product)
        store.stage(f"failures/{product.replace('/', '.')}").publish(OLD, status="failed", reason="it broke.")
        assert len(store.products()) == 2


def test_a_marker_holds_any_text(store: Store) -> None:
    fingerprint = Fingerprint({"tracer": "\ud800"})
    store.stage(SOURCE).publish(fingerprint, status="excluded", reason="tracer \ud800.")
    marker = store.marker(SOURCE)
    assert marker is not None
    assert marker.reason == "tracer \ud800."
    assert marker.fingerprint == fingerprint.digest


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


def test_a_store_may_lie_in_a_folder_of_any_name(tmp_path: Path) -> None:
    """Brackets, asterisks and question marks are patterns elsewhere."""
    for name in ("[a]*?", "ä b", "#x%20", "a\nb", "a::b"):
        store = create_store(f"{tmp_path}/{name}/store")
        publish_curve(store, [1, 2])
        assert list(open_store(store.uri).products()) == [SOURCE]
