"""TSV tables as people write them: every row is read, or a fault says which cell is wrong."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlif_core.errors import InputError
from dlif_core.ingest.tables import TextTable, read_table
from tests.unit.ingest.outcomes import sound_or_told

SAMPLES = 12
PLAIN = "time\tactivity\tcomment\n" + "".join(f"{row}\t{row / 4}\tok\n" for row in range(SAMPLES))


def read(tmp_path: Path, content: str | bytes) -> TextTable:
    path = tmp_path / "a.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(str(path), required=("time",))


def read_numbers(tmp_path: Path, content: str | bytes) -> None:
    table = read(tmp_path, content)
    for column in table.columns:
        table.numbers(column)


def fault(tmp_path: Path, content: str | bytes, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_numbers(tmp_path, content)
    assert str(tmp_path) in caught.value.where
    assert caught.value.hint
    assert len(str(caught.value)) < 1000
    for word in words:
        assert word in str(caught.value)


def require_all(table: TextTable) -> None:
    np.testing.assert_array_equal(table.numbers("time"), np.arange(SAMPLES))
    np.testing.assert_array_equal(table.numbers("activity"), np.arange(SAMPLES) / 4)


class TestLines:
    def test_a_quotation_mark_never_joins_rows(self, tmp_path: Path) -> None:
        lines = PLAIN.splitlines()
        lines[3] = lines[3].removesuffix("ok") + '"drawn late'
        lines[7] = lines[7].removesuffix("ok") + 'repeated"'
        table = read(tmp_path, "\n".join(lines))
        require_all(table)
        assert table.columns["comment"][2] == '"drawn late'
        lines[7] = lines[6]  # one mark alone
        assert len(read(tmp_path, "\n".join(lines)).columns["time"]) == SAMPLES

    @pytest.mark.parametrize("end", ["\r\n", "\r", "\n\n", "\n \t\n"])
    def test_any_line_end(self, tmp_path: Path, end: str) -> None:
        require_all(read(tmp_path, PLAIN.replace("\n", end)))

    def test_other_separators_of_unicode_end_no_line(self, tmp_path: Path) -> None:
        table = read(tmp_path, PLAIN.replace("ok", "one\u2028two\x0cthree\x85"))
        require_all(table)
        assert table.columns["comment"][0] == "one\u2028two\ufffdthree\ufffd"

    def test_a_byte_order_mark(self, tmp_path: Path) -> None:
        require_all(read(tmp_path, PLAIN.encode("utf-8-sig")))

    def test_tabs_at_the_end(self, tmp_path: Path) -> None:
        require_all(read(tmp_path, PLAIN.replace("\n", "\t\t\n")))
        require_all(read(tmp_path, PLAIN.replace("ok\n", "ok\t \n")))

    def test_a_column_without_a_name_is_left_out(self, tmp_path: Path) -> None:
        numbered = "".join(f"{i}\t{line}\n" for i, line in enumerate(PLAIN.splitlines()))
        table = read(tmp_path, numbered.removeprefix("0"))
        require_all(table)
        assert list(table.columns) == ["time", "activity", "comment"]

    def test_quotes_around_cells_are_taken_off(self, tmp_path: Path) -> None:
        cells = [[f'"{cell}"' for cell in line.split("\t")] for line in PLAIN.splitlines()]
        cells[1][2] = '"so ""called"""'
        table = read(tmp_path, "\n".join("\t".join(row) for row in cells))
        require_all(table)
        assert table.columns["comment"][0] == 'so "called"'


class TestCells:
    @pytest.mark.parametrize("cell", ["n/a", "N/A", "", "  ", "NaN", '""'])
    def test_without_value(self, tmp_path: Path, cell: str) -> None:
        numbers = read(tmp_path, f"time\tx\n1\t{cell}\n").numbers("x")
        assert np.isnan(numbers).all()

    def test_a_decimal_comma_is_told_with_its_place(self, tmp_path: Path) -> None:
        fault(tmp_path, "time\tweight\n1\t60\n2\t70,5\n", "'70,5'", "'weight'", "data row 2", "decimal point")

    @pytest.mark.parametrize("cell", ["1_000", "0x10", "inf", "-Infinity", "１２", "70 kg", "1e999", "5 %", "#DIV/0!"])
    def test_that_hold_no_number(self, tmp_path: Path, cell: str) -> None:
        fault(tmp_path, f"time\n{cell}\n", "is not a number", "'time'", "data row 1")

    @pytest.mark.parametrize(
        ("content", "word"),
        [
            ("", "empty"),
            (" \n\t\n", "empty"),
            ("time\tx\n1\n", "1 cells"),
            ("time\tx\n1\t2\t3\n", "3 cells"),
            ("time\ttime\n1\t2\n", "duplicate"),
            ("Time\n1\n", "'time' is missing"),
            ("\t".join(["time"] * 10**6) + "\n", "duplicate"),
            ("\t".join(map(str, range(10**6))) + "\n", "'time' is missing"),
            ("time\tx\n1\t" + "9" * 10**6 + "\n", "cell of 1000000 characters"),
            ("time\n" + "x" * 30_000 + "\n", "is not a number"),
            (b"time\n1\0\n", "NUL"),
            (b"time\n" + b"1\n" * 17_000_000, "larger than 32 MB"),
            (PLAIN.encode("utf-16"), "UTF-16"),
            ("time\tort\n1\tKöln\n".encode("latin-1"), "Latin-1"),
        ],
    )
    def test_what_is_refused(self, tmp_path: Path, content: str | bytes, word: str) -> None:
        fault(tmp_path, content, word)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(PLAIN) - 1), put=st.binary(max_size=3), removed=st.integers(0, 3))
def test_changed_bytes_are_read_or_refused(tmp_path: Path, place: int, put: bytes, removed: int) -> None:
    content = PLAIN.encode()
    changed = content[:place] + put + content[place + removed :]
    table = sound_or_told(lambda: read(tmp_path, changed))
    if table is None:
        return
    times = sound_or_told(lambda: table.numbers("time"))
    assert times is None or not np.isinf(times).any()
    assert len({len(cells) for cells in table.columns.values()}) == 1
    assert "\n" not in "".join(cell for cells in table.columns.values() for cell in cells)


@pytest.mark.parametrize(("mark", "word"), [(";", "semicolons"), (",", "commas")])
def test_other_separators_than_tabs_are_told(tmp_path: Path, mark: str, word: str) -> None:
    path = tmp_path / "participants.tsv"
    path.write_text(mark.join(("participant_id", "weight")) + "\n" + mark.join(("sub-01", "70")) + "\n")
    with pytest.raises(InputError, match=f"by tabs, not by {word}"):
        read_table(str(path), required=("participant_id",))
