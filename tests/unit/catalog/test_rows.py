"""Rows of stores: blood of several recordings, names of places and scans, scans that failed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.catalog.build import CatalogPlace
from dlif_core.catalog.rows import CatalogedStore, blood_columns
from dlif_core.store import Fingerprint, Store, create_store
from dlif_core.study.products import failure_name, source_name

NAN = np.nan


def test_blood_of_several_recordings_is_taken_together() -> None:
    found = blood_columns(
        [
            BloodRecording("autosampler", True, [0, 1, 2], whole_blood=[1.0, 9.0, NAN]),
            BloodRecording("manual", True, [5, 60], plasma=[4.0, 20.0], parent_fraction=[NAN, 0.5]),
            BloodRecording("venous", False, [900], whole_blood=[99.0]),
            BloodRecording("lost", True, np.empty(0), refused="no"),
        ]
    )
    assert found == {
        "recordings": ["autosampler", "manual", "venous", "lost"],
        "arterial_samples": 4,
        "blood_start": 0.0,
        "blood_end": 60.0,
        "blood_peak": 9.0,
        "has_plasma": True,
        "has_parent_fraction": True,
        "blood_refused": ["lost"],
    }


def test_the_peak_is_that_of_plasma_where_there_is_no_whole_blood() -> None:
    recordings = [BloodRecording("a", True, [0, 1], whole_blood=[NAN, NAN], plasma=[2.0, 3.0])]
    assert blood_columns(recordings)["blood_peak"] == 3.0


def test_parent_fractions_alone_are_no_samples_of_activity() -> None:
    found = blood_columns([BloodRecording("a", True, [0, 1], parent_fraction=[1.0, 0.9])])
    assert (found["arterial_samples"], found["blood_peak"], found["has_parent_fraction"]) == (0, None, True)


@pytest.mark.parametrize(
    ("text", "uri", "site"),
    [
        ("results", "results", ""),
        ("oslo=results", "results", "oslo"),
        ("Oslo, old scanner=s3://a/b=c", "s3://a/b=c", "Oslo, old scanner"),
        ("s3://bucket/a=b", "s3://bucket/a=b", ""),
        ("./a=b", "./a=b", ""),
        ("/data/a=b/out", "/data/a=b/out", ""),
    ],
)
def test_a_site_may_stand_before_a_store(text: str, uri: str, site: str) -> None:
    assert CatalogPlace.parsed(text) == CatalogPlace(uri, site)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(str(tmp_path))


def exclude(store: Store, product: str, status: str = "excluded", **parts: str) -> None:
    store.stage(product).publish(Fingerprint(parts), status=status, reason="unreadable")


def test_names_are_parts_of_the_scan(store: Store) -> None:
    for scan in ("sub-01_ses-2_run-1", "sub-02", "mouse7"):
        exclude(store, source_name(scan))
    rows = CatalogedStore(store, "study", "site").rows()
    found = {row["scan"]: (row["subject"], row["session"], row["animal"]) for row in rows}
    assert found == {
        "sub-01_ses-2_run-1": ("sub-01", "ses-2", "study:sub-01"),
        "sub-02": ("sub-02", None, "study:sub-02"),
        "mouse7": ("mouse7", None, "study:mouse7"),
    }


def test_a_scan_has_its_own_name_where_the_store_has_another(store: Store) -> None:
    exclude(store, source_name("sub-ä"), scan="sub-ä")
    assert [row["scan"] for row in CatalogedStore(store, "study", "site").rows()] == ["sub-ä"]


def test_a_scan_that_failed_has_a_row_unless_it_was_made_since(store: Store) -> None:
    for scan in ("sub-01", "sub-02"):
        exclude(store, failure_name(source_name(scan)), "failed")
    exclude(store, failure_name("scans/sub-03.zarr/selection"), "failed")
    exclude(store, source_name("sub-02"))
    found = {row["scan"]: (row["status"], row["reason"]) for row in CatalogedStore(store, "study", "site").rows()}
    assert found == {"sub-01": ("failed", "unreadable"), "sub-02": ("excluded", "unreadable")}


def test_the_digest_of_the_data_is_that_of_the_images(store: Store) -> None:
    image = {"file sub-01/pet/sub-01_pet.nii.gz": "a", "file sub-01/pet/sub-01_pet.json": "b"}
    exclude(store, source_name("sub-01"), **image)
    exclude(store, source_name("sub-02"), **image | {"file sub-01/pet/sub-01_pet.json": "other"})
    exclude(store, source_name("sub-03"), **{"file sub-01/pet/sub-01_pet.json": "b"})
    exclude(store, source_name("sub-04"), **image | {"file derivatives/a_dseg.nii.gz": "c"})
    digests = [row["data_digest"] for row in CatalogedStore(store, "study", "site").rows()]
    assert digests[0] == digests[1] == digests[3] != digests[2]
