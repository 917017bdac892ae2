"""Tables in spreadsheets are read like TSV, with the same faults in words."""

import datetime
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

from dlif_core.errors import InputError
from dlif_core.ingest.tables import read_table
from tests.unit.ingest.phantom import mutations, outcome

ROWS: list[list[Any]] = [["time", "activity", "place"], [0, 1.25, "vein, left"], [30.5, None, "artery"], [1e-3, 7, "x"]]


def workbook(*rows: list[Any], **others: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for name, content in others.items():
        sheet = book.create_sheet(name)
        for row in content:
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'time,activity,place\n0,1.25,"vein, left"\n30.5,,artery\n0.001,7,x\n'),
        ("a.CSV", 'time;activity;place\r\n0;1,25;"vein, left"\r\n30,5;n/a;artery\r\n1e-3;7;x\r\n'),
        ("a.csv", '\ufefftime;activity;place\n0;1.25;"vein, left"\n30.5;;artery\n0.001;7;x\n'),
        ("a.csv", "time\tactivity\tplace\n0\t1.25\tvein, left\n30.5\t\tartery\n0.001\t7\tx\n"),
        ("a.xlsx", workbook(*ROWS)),
        ("a.xlsx", workbook(ROWS[0], [], *ROWS[1:], [None])),
    ],
)
def test_a_table_means_the_same_in_any_spreadsheet(tmp_path: Path, name: str, content: str | bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    table = read_table(str(path), required=("time",))
    assert table.numbers("time").tolist() == [0, 30.5, 0.001]
    assert table.numbers("activity")[[0, 2]].tolist() == [1.25, 7]
    assert np.isnan(table.numbers("activity")[1])
    assert table.columns["place"][0] == "vein, left"


def test_a_sheet_by_its_name_and_values_of_other_kinds(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    clock = [["time", "state"], [datetime.time(10, 5, 30), True], [datetime.timedelta(seconds=90), None]]
    path.write_bytes(workbook(*ROWS, counter=clock))
    table = read_table(str(path), sheet="counter")
    assert table.columns["time"] == ["10:05:30", "00:01:30"]
    assert table.columns["state"] == ["True", ""]
    with pytest.raises(InputError, match="no such sheet"):
        read_table(str(path), sheet="other")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "empty"),
        ("a.csv", "time,activity\n1,2,3\n", "data row 1 has 3 cells"),
        ("a.csv", "time,time\n1,2\n", "duplicate"),
        ("a.csv", 'time,activity\n1,"2\n', "told apart"),
        ("a.csv", "time;activity\n1.5;1.234,5\n", "not a number"),
        ("a.csv", "a;b\n1;2\n", "'time' is missing"),
        ("a.xlsx", b"time\tactivity\n", "no Excel workbook"),
        ("a.xlsx", workbook(), "empty"),
        ("a.xlsx", workbook(["time", "activity"], [1, 2, 3]), "data row 1 has 3 cells"),
        ("a.xlsx", workbook(["time", "activity"], [1, "Jane Doe"]), "text of 8 characters"),
    ],
)
def test_faults_are_told_in_words(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError, match=message) as fault:
        read_table(str(path), required=("time",)).numbers("activity")
    assert str(path) in str(fault.value)


def test_an_archive_that_unpacks_to_more_than_any_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", bytes(300 * 10**6))
    with pytest.raises(InputError, match="300 MB"):
        read_table(str(path))


def test_spoilt_workbooks_are_refused_or_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    outcomes = set()
    for content in mutations(workbook(*ROWS), 300):
        path.write_bytes(content)
        outcomes.add(outcome(lambda: read_table(str(path)).numbers("time")))
    assert outcomes == {"read", "refused"}


def test_a_formula_without_its_value_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(workbook(["time", "activity"], [1, "=1+1"]))
    with pytest.raises(InputError, match="B2 holds a formula without its value"):
        read_table(str(tmp_path / "a.xlsx"))


@pytest.mark.parametrize(("cells", "refused"), [("B2:B3", True), ("A2:C4", True), ("B2:C2", False)])
def test_cells_merged_over_rows_are_refused(tmp_path: Path, cells: str, refused: bool) -> None:
    book = openpyxl.Workbook()
    for row in (["time", "activity", "place"], [1, 2, "vein"], [3, 4, "vein"], [5, 6, "vein"]):
        book.active.append(row)
    book.active.merge_cells(cells)
    book.save(tmp_path / "a.xlsx")
    if not refused:
        assert read_table(str(tmp_path / "a.xlsx")).numbers("time").tolist() == [1, 3, 5]
        return
    with pytest.raises(InputError, match=f"{cells.replace(':', ' to ')} are merged"):
        read_table(str(tmp_path / "a.xlsx"))
