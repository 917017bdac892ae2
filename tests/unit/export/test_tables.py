"""Cohort tables through pandas and pyarrow; R is in test_example.py."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dlif_core.export.tables import COHORT_TABLES, TABLES
from tests.unit.export.products import curve, exported_scan, exported_study, regions


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    scans = (
        exported_scan(),
        exported_scan(scan_id="sub-m02", subject="m02", session="late", regions={}, input_functions={}),
    )
    COHORT_TABLES.export(exported_study(*scans), folder)
    return folder / "tables"


@pytest.mark.parametrize("name", TABLES)
def test_parquet_and_text_hold_the_same(root: Path, name: str) -> None:
    parquet = pd.read_parquet(root / f"{name}.parquet")
    text = pd.read_csv(root / f"{name}.tsv", sep="\t", na_values="n/a", keep_default_na=False)
    assert parquet.columns.tolist() == text.columns.tolist()
    for column in parquet:
        if parquet[column].dtype == float:
            np.testing.assert_array_equal(parquet[column], text[column].astype(float))
        else:
            assert parquet[column].isna().tolist() == text[column].isna().tolist()
            assert parquet[column].dropna().astype(str).tolist() == text[column].dropna().astype(str).tolist()


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_described_with_its_type_and_unit(root: Path, name: str) -> None:
    described = json.loads((root / "columns.json").read_text())[name]["columns"]
    schema = pq.read_schema(root / f"{name}.parquet")
    assert list(described) == schema.names
    for field in schema:
        assert str(field.type) == described[field.name]["type"]
        unit = (field.metadata or {}).get(b"units", b"").decode()
        assert unit == described[field.name].get("unit", "")
        assert described[field.name]["description"]


def test_values_are_those_of_the_results(root: Path) -> None:
    parameters = pd.read_parquet(root / "kinetic_parameters.parquet").set_index(["scan_id", "region", "parameter"])
    row = parameters.loc[("sub-m01", "brain", "Ki")]
    assert (row["value"], row["standard_error"], row["interval_upper"]) == (0.031, 0.002, 0.035)
    assert (row["unit"], row["status"], row["input_function"]) == ("mL cm-3 min-1", "converged", "learned")
    assert len(parameters) == 2 * regions().sizes["region"]
    points = pd.read_parquet(root / "input_functions.parquet")
    np.testing.assert_array_equal(points["plasma"], curve().plasma)
    np.testing.assert_array_equal(points["lower"], curve().lower)


def test_region_curves_are_in_their_frames(root: Path) -> None:
    rows = pd.read_parquet(root / "regions.parquet")
    brain = rows[(rows["scan_id"] == "sub-m01") & (rows["region"] == "brain")]
    assert brain["frame_start"].tolist() == [0.0, 60.0, 300.0]
    assert brain["activity"].tolist() == [1e3, 5e3, 7e3]
    assert set(brain["volume"]) == {30.0}


def test_a_scan_without_results_is_among_the_scans(root: Path) -> None:
    scans = pd.read_parquet(root / "scans.parquet").set_index("scan_id")
    assert scans.loc["sub-m02", "session"] == "late"
    assert scans.loc["sub-m01", "weights_digest"] == "cd" * 32
    assert scans["injected_activity"].tolist() == [9e6, 9e6]


def test_a_study_of_no_scans_has_tables_without_rows(tmp_path: Path) -> None:
    from dlif_core.export import ExportedStudy

    COHORT_TABLES.export(ExportedStudy("empty", "0", "data", (), lambda _: exported_scan()), tmp_path)
    assert all(pd.read_parquet(tmp_path / "tables" / f"{name}.parquet").empty for name in TABLES)


def test_without_pyarrow_there_are_tables_of_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlif_core.export.tables.find_spec", lambda name: None)
    COHORT_TABLES.export(exported_study(exported_scan()), tmp_path)
    written = {path.name for path in (tmp_path / "tables").iterdir()}
    assert written == {"columns.json", *(f"{name}.tsv" for name in TABLES)}
