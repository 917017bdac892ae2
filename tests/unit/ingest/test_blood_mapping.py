"""Blood from counters and spreadsheets by a mapping of columns."""

from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
import yaml

from dlif_core.errors import BloodError, ConfigurationError, InputError
from dlif_core.ingest import READERS, find_scans, open_scan
from dlif_core.ingest.blood_mapping import read_blood_mapping
from dlif_core.ingest.described import DescribedTable, SeriesOptions
from tests.unit.ingest.phantom import HALF_LIFE, mutations, outcome, scans
from tests.unit.ingest.pmod.tables import write_pmod

CSV = "tube;drawn;counted;wb;seconds;mass\n1;10:15:30;11:15:00;1200;60;0,5\n2;10:25:00;11:20:00;600;60;0,25\n3;;;;;\n"
FIELDS = {"TracerRadionuclide": "F18"}
RECORDING: dict[str, Any] = {
    "name": "manual",
    "file": "tubes.csv",
    "time": {"column": "drawn", "unit": "clock", "zero": "10:15:00"},
    "decay": "counted",
    "whole_blood": {
        "column": "wb",
        "unit": "counts",
        "counting_time": "seconds",
        "calibration": 5.0,
        "volume": "mass",
        "volume_unit": "g",
    },
}


def write(folder: Path, content: str = CSV, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tubes.csv").write_text(content)
    path = folder / "blood.yaml"
    recording = {key: value for key, value in {**RECORDING, **changes}.items() if value is not None}
    path.write_text(yaml.safe_dump({"recordings": [recording]}))
    return path


def table(path: Path) -> DescribedTable:
    (found,) = read_blood_mapping(str(path)).tables("m1.tac", FIELDS).values()
    return found


def test_counts_become_activities_at_time_zero(tmp_path: Path) -> None:
    found = table(write(tmp_path))
    assert found.columns["time"] == [30.0, 600.0]
    decay = np.exp2(np.array([3600.0, 3900.0]) / HALF_LIFE)
    expected = np.array([1200 / 60 * 5 / 0.5, 600 / 60 * 5 / 0.25]) * decay
    assert found.columns["whole_blood_radioactivity"] == pytest.approx(expected.tolist())
    assert found.fields["TimeZero"] == "10:15:00"


@pytest.mark.parametrize(
    ("value", "decay", "expected"),
    [
        ({"unit": "cpm", "calibration": 6.0}, "corrected", 1200 / 60 * 6),
        ({"unit": "cps", "calibration": 6.0, "volume": 200.0, "volume_unit": "uL"}, "corrected", 1200 * 6 / 0.2),
        ({"unit": "kBq/mL"}, "corrected", 1.2e6),
        ({"unit": "nCi", "volume": 2.0}, "corrected", 1200 * 37 / 2),
        ({"unit": "Bq/mL"}, "sampling", 1200 * 2 ** (30 / HALF_LIFE)),
    ],
)
def test_units_and_decay(tmp_path: Path, value: dict[str, Any], decay: str, expected: float) -> None:
    found = table(write(tmp_path, whole_blood={"column": "wb"} | value, decay=decay))
    assert found.columns["whole_blood_radioactivity"][0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["09:30:00", "10:15:30"], [-2700.0, 30.0]),
        (["2024-05-06 10:15:30", "2024-05-06 10:16:00"], [30.0, 60.0]),
        (["2024-05-06 10:15:30", "2024-05-07 10:15:30"], [30.0, 86430.0]),
    ],
)
def test_clock_times(tmp_path: Path, times: list[str], expected: list[float]) -> None:
    content = "drawn;wb\n" + "".join(f"{time};7\n" for time in times)
    found = table(write(tmp_path, content, whole_blood={"column": "wb", "unit": "Bq/mL"}, decay="corrected"))
    assert found.columns["time"] == expected


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["08:00:00", "10:15:30"], "data row 1 lies 2.25 h before"),
        (["10:15:30", "1:05"], "data row 2 lies 9.17 h before"),
        (["06.05.2024 10:15:30", "07.05.2024 10:15:30"], "different dates"),
        (["2024-05-06 10:15:30", "10:16:30"], "different dates"),
    ],
)
def test_clock_times_that_cannot_be_meant(tmp_path: Path, times: list[str], message: str) -> None:
    content = "drawn;wb\n" + "".join(f"{time};7\n" for time in times)
    with pytest.raises(BloodError, match=message):
        table(write(tmp_path, content, whole_blood={"column": "wb", "unit": "Bq/mL"}, decay="corrected"))


def test_a_sample_may_be_counted_many_hours_later(tmp_path: Path) -> None:
    content = "drawn;counted;wb\n10:25:00;09:00:00;600\n"
    found = table(write(tmp_path, content, whole_blood={"column": "wb", "unit": "Bq/mL"}))
    assert found.columns["whole_blood_radioactivity"] == pytest.approx([600 * 2 ** (22.75 * 3600 / HALF_LIFE)])


@pytest.mark.parametrize("row", ["10:25:00;11:20:00;600;0;0,25", "10:25:00;11:20:00;600;60;", "10:25:00;;600;60;1"])
def test_a_value_that_would_be_lost_is_refused(tmp_path: Path, row: str) -> None:
    with pytest.raises(BloodError, match="data row 1 has a value, but no"):
        table(write(tmp_path, f"drawn;counted;wb;seconds;mass\n{row}\n"))


def test_a_scan_gets_its_blood(tmp_path: Path) -> None:
    write_pmod(tmp_path / "data", "m1", blood=False)
    write_pmod(tmp_path / "data", "m2", blood=False)
    mapping = write(tmp_path, source="m1*", sampling="venous")
    one, two = scans(READERS.named("pmod-curves"), tmp_path / "data", blood=str(mapping))
    assert set(one.inputs().values()) >= {str(mapping), str(tmp_path / "tubes.csv")}
    assert str(mapping) not in two.inputs().values()
    with open_scan(one) as read:
        (blood,) = read.blood
        assert not blood.arterial
        assert blood.source == str(tmp_path / "tubes.csv")
        assert blood.time.tolist() == [30.0, 600.0]
    with open_scan(two) as read:
        assert read.blood == ()


def test_tables_that_options_name_may_lie_outside_of_the_data(tmp_path: Path) -> None:
    write_pmod(tmp_path / "data", "m1", blood=False)
    scan_table = tmp_path / "scans.csv"
    scan_table.write_text("source,TracerName\nm1.tac,other\n")
    options = SeriesOptions(table=str(scan_table), blood=str(write(tmp_path)))
    (files,) = find_scans(str(tmp_path / "data"), format="pmod-curves", options=options)
    assert files.faults == ()
    with open_scan(files) as read:
        assert read.scan.acquisition.tracer == "other"
        assert len(read.blood) == 1
    (tmp_path / "data" / "m1_x.bld").symlink_to(tmp_path / "tubes.csv")
    (files,) = find_scans(str(tmp_path / "data"), format="pmod-curves", options=options)
    assert [fault.where for fault in files.faults] == [str(tmp_path / "data" / "m1_x.bld")]


def test_a_fault_of_a_table_costs_the_blood_alone(tmp_path: Path) -> None:
    write_pmod(tmp_path / "data", "m1")
    mapping = write(tmp_path, CSV.replace("1200", "Jane Doe"))
    (files,) = scans(READERS.named("pmod-curves"), tmp_path / "data", blood=str(mapping))
    with open_scan(files) as read:
        assert read.blood == ()
        assert any("text of 8 characters" in finding.message for finding in read.findings)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"time": {"column": "drawn", "unit": "clock"}}, BloodError, "need a `zero`"),
        ({"time": {"column": "none", "unit": "s"}}, InputError, "no column 'none'"),
        ({"time": {"column": "tube", "unit": "kg"}}, InputError, "unit of time"),
        ({"time": {"column": "mass", "unit": "clock", "zero": "10:15:00"}}, BloodError, "no clock time"),
        ({"whole_blood": {"column": "wb", "unit": "counts", "calibration": 1}}, BloodError, "counting_time"),
        ({"whole_blood": {"column": "wb", "unit": "cps"}}, BloodError, "need a `calibration`"),
        ({"whole_blood": {"column": "wb", "unit": "kBq/mL", "calibration": 2}}, BloodError, "for counts"),
        (
            {"whole_blood": {"column": "wb", "unit": "Bq", "volume": 1, "volume_unit": "m"}},
            BloodError,
            "no unit of vol",
        ),
        ({"whole_blood": {"column": "wb", "unit": "drops"}}, InputError, "not a known unit"),
        ({"whole_blood": None}, BloodError, "maps no values"),
        ({"whole_blood": {"column": "wb", "units": "Bq"}}, ConfigurationError, "unit"),
        ({"file": "../tubes.csv"}, InputError, "leads out"),
        ({"file": "other.csv"}, InputError, "not there"),
        ({"name": "a b"}, ConfigurationError, "name"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(
    tmp_path: Path, changes: dict[str, Any], kind: type, message: str
) -> None:
    with pytest.raises(kind, match=message) as fault:
        table(write(tmp_path, **changes))
    assert str(tmp_path) in str(fault.value)


def test_the_nuclide_must_be_known_for_decay(tmp_path: Path) -> None:
    with pytest.raises(BloodError, match="nuclide"):
        read_blood_mapping(str(write(tmp_path))).tables("a", {})


def test_spoilt_mappings_and_tables_are_refused_or_read(tmp_path: Path) -> None:
    path = write(tmp_path)
    sound = path.read_bytes()

    def read_it() -> None:
        try:
            read_blood_mapping(str(path)).tables("a", FIELDS)
        except ConfigurationError as fault:
            raise InputError(fault.message, where=fault.where) from fault

    for content in mutations(sound, 150):
        path.write_bytes(content)
        outcome(read_it)
    path.write_bytes(sound)
    for content in mutations(CSV.encode(), 150):
        (tmp_path / "tubes.csv").write_bytes(content)
        outcome(read_it)


@pytest.mark.realdata
def test_a_real_spreadsheet(real_data: Path, tmp_path: Path) -> None:
    workbook = real_data / "ecat_and_blood_import" / "pet2bids_blood" / "blood_example.xlsx"
    (tmp_path / "blood.xlsx").write_bytes(workbook.read_bytes())
    mapping = write(
        tmp_path,
        file="blood.xlsx",
        decay="corrected",
        time={"column": "time_manual", "unit": "min"},
        whole_blood=None,
        plasma={"column": "manual_plasma", "unit": "kBq/mL"},
    )
    sheet = openpyxl.load_workbook(workbook, data_only=True).worksheets[0]
    rows = [row for row in sheet.iter_rows(min_row=2, values_only=True) if row[0] is not None]
    found = table(mapping)
    assert found.columns["time"] == [60.0 * row[0] for row in rows]
    assert found.columns["plasma_radioactivity"] == pytest.approx([1000.0 * row[2] for row in rows])
