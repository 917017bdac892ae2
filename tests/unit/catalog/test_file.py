"""The Parquet file: whole or not there, readable by any Parquet library, with its dictionary."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from dlif_core.catalog.columns import COLUMNS, dictionary
from dlif_core.catalog.file import read_catalog, write_catalog
from dlif_core.errors import ConfigurationError, InputError, MissingInputError
from tests.unit.catalog.rows import row, write_rows


def test_rows_come_back(tmp_path: Path) -> None:
    rows = [row(number) for number in range(5)]
    found = read_catalog(write_rows(tmp_path, rows)).to_pylist()
    absent = {column.name: None for column in COLUMNS}
    assert found == [absent | one for one in rows]


def test_units_and_meanings_are_in_the_file(tmp_path: Path) -> None:
    fields = parquet.read_schema(write_rows(tmp_path, [row(0)]))
    assert fields.names == [column.name for column in COLUMNS]
    told = {field.name: (field.metadata[b"unit"].decode(), field.metadata[b"meaning"].decode()) for field in fields}
    assert told == {column.name: (column.unit, column.meaning) for column in COLUMNS}


def test_columns_are_explained() -> None:
    assert all(column.meaning.endswith(".") for column in COLUMNS)
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)
    assert all(column.unit for column in COLUMNS if column.kind == "number")


def test_the_page_holds_the_dictionary() -> None:
    assert dictionary() in (Path(__file__).parents[3] / "docs" / "catalog.md").read_text()


def test_a_build_that_breaks_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_rows(tmp_path, [row(3)])

    def broken() -> Iterator[list[dict[str, Any]]]:
        yield [row(4)]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_catalog(path, broken())
    assert read_catalog(path, ["frames"])["frames"].to_pylist() == [3]
    assert [file.name for file in tmp_path.iterdir()] == ["catalog.parquet"]


def test_a_url_is_written_and_read() -> None:
    uri = "memory://catalogs/all.parquet"
    assert write_catalog(uri, iter([[row(1)], [row(2)]])) == 2
    assert read_catalog(uri, ["frames"])["frames"].to_pylist() == [1, 2]


def test_a_missing_pyarrow_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for work in (lambda path: read_catalog(path), lambda path: write_catalog(path, iter([]))):
        with pytest.raises(ConfigurationError, match=r"pip install 'dlif\[parquet\]'"):
            work(str(tmp_path / "catalog.parquet"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such catalog"):
        read_catalog(str(tmp_path / "none.parquet"))


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no Parquet")
    parquet.write_table(pa.table({"site": ["a"]}), tmp_path / "other.parquet")
    parquet.write_table(
        pa.table({"site": ["a"]}).replace_schema_metadata({"dlif-catalog": "99"}), tmp_path / "newer.parquet"
    )
    for name, told in (
        ("text", "no Parquet file"),
        ("other", "no catalog of dlif"),
        ("newer", "a catalog of version 99"),
    ):
        with pytest.raises(InputError, match=told):
            read_catalog(str(tmp_path / f"{name}.parquet"))


def test_an_unknown_column_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'frames'"):
        read_catalog(write_rows(tmp_path, [row(0)]), ["frame"])
