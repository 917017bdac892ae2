"""Blood recordings of a scan, in canonical units and otherwise as recorded."""

from pathlib import Path

import numpy as np
import pytest

from dlif_core.errors import (
    BloodError,
    DlifError,
    InputError,
    MissingInputError,
    UnitError,
)
from tests.unit.ingest.bids.dataset import (
    BLOOD,
    BLOOD_TABLE,
    make_dataset,
    write,
)
from tests.unit.ingest.bids.opening import fault, ingest


class TestBlood:
    def test_values_in_canonical_units_and_in_the_order_of_the_file(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        (recording,) = ingest(tmp_path).blood
        assert (recording.name, recording.arterial) == ("manual", True)
        np.testing.assert_array_equal(recording.time, [0, 30, 20])
        np.testing.assert_allclose(recording.whole_blood, [0, 2500, 1500])
        np.testing.assert_array_equal(recording.plasma, [0, 3000, np.nan])
        np.testing.assert_array_equal(recording.parent_fraction, [np.nan, 0.9, 0.95])

    def test_quotation_marks_in_a_remark_lose_no_sample(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        remarks = ("remark", "ok", '"drawn late', 'again"')
        table = "\n".join(f"{row}\t{remark}" for row, remark in zip(BLOOD_TABLE.splitlines(), remarks, strict=True))
        write(pet / "sub-01_recording-manual_blood.tsv", table)
        (recording,) = ingest(tmp_path).blood
        np.testing.assert_array_equal(recording.time, [0, 30, 20])

    def test_other_units_of_time_and_fraction(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        units = BLOOD | {"time": {"Units": "min"}, "metabolite_parent_fraction": {"Units": "%"}}
        write(pet / "sub-01_recording-manual_blood.json", units)
        (recording,) = ingest(tmp_path).blood
        np.testing.assert_allclose(recording.time, [0, 1800, 1200])
        np.testing.assert_allclose(recording.parent_fraction[1:], [0.009, 0.0095])

    def test_venous_recordings_and_columns_are_not_arterial(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        write(pet / "sub-01_recording-manualvenous_blood.tsv", BLOOD_TABLE)
        write(pet / "sub-01_recording-manualvenous_blood.json", BLOOD)
        write(
            pet / "sub-01_recording-mixed_blood.tsv",
            "time\tplasma_radioactivity\tvenous_plasma_radioactivity\n0\t1\t2\n",
        )
        described = BLOOD | {"venous_plasma_radioactivity": {"Units": "Bq/mL"}}
        write(pet / "sub-01_recording-mixed_blood.json", described)
        blood = {recording.name: recording for recording in ingest(tmp_path).blood}
        assert {name: recording.arterial for name, recording in blood.items()} == {
            "manual": True,
            "manualvenous": False,
            "mixed": True,
            "mixed-venous": False,
        }
        assert (blood["mixed"].plasma, blood["mixed-venous"].plasma) == ([1], [2])

    @pytest.mark.parametrize(
        ("description", "arterial"), [("Venous plasma", False), ("Plasma", True), ("Arterialised venous plasma", True)]
    )
    def test_descriptions_tell_venous_samples(self, tmp_path: Path, description: str, arterial: bool) -> None:
        plasma = {"Description": description, "Units": "Bq/mL"}
        units = BLOOD | {"plasma_radioactivity": plasma}
        write(make_dataset(tmp_path) / "sub-01_recording-manual_blood.json", units)
        assert ingest(tmp_path).blood[0].arterial is arterial

    def test_missing_sidecar(self, tmp_path: Path) -> None:
        (make_dataset(tmp_path) / "sub-01_recording-manual_blood.json").unlink()
        fault(tmp_path, MissingInputError, "units are unknown", "Add", "sub-01_recording-manual_blood.json")

    @pytest.mark.parametrize("column", ["time", "plasma_radioactivity", "metabolite_parent_fraction"])
    @pytest.mark.parametrize("described", [None, {"Description": "no unit"}, {"Units": "furlong"}])
    def test_unit_missing_or_unknown(self, tmp_path: Path, column: str, described: dict[str, str] | None) -> None:
        write(make_dataset(tmp_path) / "sub-01_recording-manual_blood.json", BLOOD | {column: described})
        fault(tmp_path, UnitError, column, "sub-01_recording-manual_blood.json")

    @pytest.mark.parametrize(
        ("table", "kind", "word"),
        [
            ("", InputError, "empty"),
            ("time\tplasma_radioactivity\n", BloodError, "no samples"),
            ("time\tplasma_radioactivity\nn/a\t3\n", BloodError, "data row 1 has no time"),
            ("time\tplasma_radioactivity\n0\t3,5\n", InputError, "'3,5' in column 'plasma_radioactivity', data row 1"),
            ("time\tplasma_radioactivity\n0\n", InputError, "1 cells"),
            ("plasma_radioactivity\n3\n", InputError, "'time' is missing"),
            ("time\tactivity\n0\t3\n", BloodError, "whole_blood_radioactivity"),
            ("time\ttime\n0\t3\n", InputError, "duplicate"),
        ],
    )
    def test_unreadable_tables(self, tmp_path: Path, table: str, kind: type[DlifError], word: str) -> None:
        write(make_dataset(tmp_path) / "sub-01_recording-manual_blood.tsv", table)
        fault(tmp_path, kind, word, "sub-01_recording-manual_blood.tsv")
