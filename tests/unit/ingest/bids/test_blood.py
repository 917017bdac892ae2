"""Blood recordings of a scan, in canonical units and otherwise as recorded."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from dlif_core.checks import Part
from dlif_core.ingest import IngestedScan, find_scans
from tests.unit.ingest.bids.dataset import BLOOD, BLOOD_TABLE, SIDECAR, make_dataset, voxels, write, write_image
from tests.unit.ingest.bids.opening import ingest, opened


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
        refused(tmp_path, "units are unknown", "Add", "sub-01_recording-manual_blood.json")

    @pytest.mark.parametrize("column", ["whole_blood_radioactivity", "plasma_radioactivity"])
    @pytest.mark.parametrize("described", [None, {"Description": "no unit"}, {"Units": "furlong"}])
    def test_unit_missing_or_unknown(self, tmp_path: Path, column: str, described: dict[str, str] | None) -> None:
        write(make_dataset(tmp_path) / "sub-01_recording-manual_blood.json", BLOOD | {column: described})
        refused(tmp_path, column, "sub-01_recording-manual_blood.json")

    @pytest.mark.parametrize("column", ["time", "metabolite_parent_fraction"])
    def test_units_that_pet_bids_fixes_are_assumed(self, tmp_path: Path, column: str) -> None:
        write(make_dataset(tmp_path) / "sub-01_recording-manual_blood.json", BLOOD | {column: {"Description": "x"}})
        ingested = ingest(tmp_path)
        np.testing.assert_array_equal(ingested.blood[0].time, [0, 30, 20])
        np.testing.assert_array_equal(ingested.blood[0].parent_fraction, [np.nan, 0.9, 0.95])
        assert [finding.check for finding in ingested.findings] == ["unit-not-given"]
        assert column in ingested.warnings[0]

    def test_names_of_columns_and_their_descriptions_in_any_case(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        write(pet / "sub-01_recording-manual_blood.json", {name.upper(): units for name, units in BLOOD.items()})
        write(pet / "sub-01_recording-manual_blood.tsv", BLOOD_TABLE.replace("time\twhole_blood", "Time\tWhole_Blood"))
        ingested = ingest(tmp_path)
        np.testing.assert_allclose(ingested.blood[0].whole_blood, [0, 2500, 1500])
        assert ingested.warnings == ()

    def test_units_in_the_header(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        write(pet / "sub-01_recording-manual_blood.json", {})
        write(pet / "sub-01_recording-manual_blood.tsv", "time [min]\tplasma_radioactivity (kBq/mL)\n0\t1\n2\t3\n")
        (recording,) = ingest(tmp_path).blood
        np.testing.assert_array_equal(recording.time, [0, 120])
        np.testing.assert_array_equal(recording.plasma, [1000, 3000])

    @pytest.mark.parametrize(
        ("table", "word"),
        [
            ("", "empty"),
            ("time\tplasma_radioactivity\n", "no samples"),
            ("time\tplasma_radioactivity\nn/a\t3\n", "data row 1 has no time"),
            ("time\tplasma_radioactivity\n0\t3,5\n", "'3,5' in column 'plasma_radioactivity', data row 1"),
            ("time\tplasma_radioactivity\n0\n", "1 cells"),
            ("plasma_radioactivity\n3\n", "'time' is missing"),
            ("time\tactivity\n0\t3\n", "whole_blood_radioactivity"),
            ("time\ttime\n0\t3\n", "duplicate"),
        ],
    )
    def test_unreadable_tables(self, tmp_path: Path, table: str, word: str) -> None:
        write(make_dataset(tmp_path) / "sub-01_recording-manual_blood.tsv", table)
        refused(tmp_path, word, "sub-01_recording-manual_blood.tsv")

    def test_a_venous_file_that_cannot_be_read_is_left_out(self, tmp_path: Path) -> None:
        write(make_dataset(tmp_path) / "sub-01_recording-venous_blood.tsv", "")
        ingested = ingest(tmp_path)
        assert [recording.name for recording in ingested.blood] == ["manual"]
        assert not ingested.blood[0].refused
        assert [finding.check for finding in ingested.findings] == ["files-left-out"]


class TestFields:
    def test_what_was_measured_but_is_not_there_is_told(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        fields = {"PlasmaAvail": True, "WholeBloodAvail": "true", "MetaboliteAvail": "yes"}
        write(pet / "sub-01_recording-manual_blood.json", BLOOD | fields)
        write(pet / "sub-01_recording-manual_blood.tsv", "time\tplasma_radioactivity\n0\t1\n2\t3\n")
        assert ingest(tmp_path).warnings == (
            "WholeBloodAvail is true, but no table has values in a column whole_blood_radioactivity.",
            "MetaboliteAvail is true, but no table has values in a column metabolite_parent_fraction.",
        )

    def test_a_fraction_by_another_name_is_told(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        table = BLOOD_TABLE.replace("metabolite_parent_fraction", "metabolite_fraction")
        write(pet / "sub-01_recording-manual_blood.tsv", table)
        ingested = ingest(tmp_path)
        assert ingested.blood[0].parent_fraction is None
        assert "'metabolite_fraction' is not read" in ingested.warnings[0]

    def test_plasma_that_is_corrected_for_metabolites_is_not_corrected_again(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        write(pet / "sub-01_recording-manual_blood.json", BLOOD | {"MetaboliteCorrectionApplied": True})
        refused(tmp_path, "applied again")

    def test_haematocrit_and_free_fraction_are_recorded_as_fractions(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        fields = {"Haematocrit": 42, "PlasmaFreeFraction": "5"}
        write(pet / "sub-01_recording-manual_blood.json", BLOOD | fields)
        recorded = ingest(tmp_path).provenance["blood"]["manual"]
        assert (recorded["Haematocrit"], recorded["PlasmaFreeFraction"]) == (0.42, 0.05)

    def test_a_field_that_enters_no_curve_costs_nothing(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        write(pet / "sub-01_recording-manual_blood.json", BLOOD | {"PlasmaFreeFraction": "low", "PlasmaAvail": "?"})
        ingested = ingest(tmp_path)
        assert not ingested.blood[0].refused
        assert {finding.check for finding in ingested.findings} == {"blood-fields"}


class TestDispersion:
    def sampled(self, root: Path, name: str = "autosampler", step: float = 2.0, **fields: object) -> IngestedScan:
        pet = make_dataset(root)
        for path in pet.glob("*_blood.*"):
            path.unlink()
        rows = "".join(f"{step * i}\t{i}\n" for i in range(60))
        write(pet / f"sub-01_recording-{name}_blood.tsv", "time\twhole_blood_radioactivity\n" + rows)
        write(pet / f"sub-01_recording-{name}_blood.json", BLOOD | fields)
        return ingest(root)

    @pytest.mark.parametrize(
        ("constant", "unit", "expected"), [(10, None, 10), ("8.5", "s", 8.5), (0.1, "min", 6), (0, None, 0)]
    )
    def test_constant_is_carried_to_the_correction(
        self, tmp_path: Path, constant: object, unit: str | None, expected: float
    ) -> None:
        fields = {"DispersionCorrected": False, "DispersionConstant": constant, "DispersionConstantUnits": unit}
        assert self.sampled(tmp_path, **fields).blood[0].dispersion == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("name", "fields", "checks"),
        [
            ("autosampler", {}, ["blood-dispersed"]),
            ("autosampler", {"DispersionCorrected": True}, []),
            ("automatic", {"DispersionCorrected": 0}, ["blood-dispersed"]),
            ("automatic", {"DispersionCorrected": False, "DispersionConstant": 9}, ["dispersion"]),
            ("left", {"DispersionCorrected": False, "DispersionConstant": 9}, ["dispersion"]),
            ("autosampler", {"DispersionCorrected": False, "DispersionConstant": 1.5}, ["blood-dispersed"]),
            ("venous", {"DispersionCorrected": False, "DispersionConstant": 9}, []),
        ],
    )
    def test_is_told(self, tmp_path: Path, name: str, fields: dict[str, object], checks: list[str]) -> None:
        ingested = self.sampled(tmp_path, name, **fields)
        assert [finding.check for finding in ingested.findings] == checks
        assert (ingested.blood[0].dispersion > 0) == (checks == ["dispersion"])

    def test_manual_samples_are_not_dispersed(self, tmp_path: Path) -> None:
        write(make_dataset(tmp_path) / "sub-01_recording-manual_blood.json", BLOOD | {"DispersionCorrected": False})
        assert ingest(tmp_path).warnings == ()

    @pytest.mark.parametrize("constant", ["fast", [10], 10000, -1])
    def test_a_constant_that_cannot_be_is_refused(self, tmp_path: Path, constant: object) -> None:
        ingested = self.sampled(tmp_path, DispersionCorrected=False, DispersionConstant=constant)
        assert "DispersionConstant" in ingested.blood[0].refused


class TestClock:
    """Two runs of one injection with one blood file, or with none of that."""

    def runs(self, root: Path, name: str = "sub-01", **second: object) -> dict[str, IngestedScan]:
        pet = make_dataset(root)
        for suffix in ("_pet.json", "_pet.nii.gz"):
            (pet / f"sub-01{suffix}").rename(pet / f"sub-01_run-1{suffix}")
        for kind in ("tsv", "json"):
            (pet / f"sub-01_recording-manual_blood.{kind}").rename(pet / f"{name}_recording-manual_blood.{kind}")
        write_image(pet / "sub-01_run-2_pet.nii.gz", voxels(), slope=0.5)
        write(pet / "sub-01_run-2_pet.json", SIDECAR | second)
        found = {}
        for files in find_scans(str(root)):
            found[files.scan_id.rpartition("_")[2]] = opened(files)
        return found

    LATE: ClassVar = {"TimeZero": "11:00:00", "InjectionStart": -3600, "ImageDecayCorrectionTime": -3600}

    def test_times_count_from_the_earliest_run(self, tmp_path: Path) -> None:
        runs = self.runs(tmp_path, **self.LATE)
        for ingested in runs.values():
            np.testing.assert_allclose(ingested.blood[0].time, [0, 30, 20])
            np.testing.assert_allclose(ingested.blood[0].whole_blood, [0, 2500, 1500])
            assert "blood-clock" in [finding.check for finding in ingested.findings]
        assert any("that of sub-01_run-1, 10:00:00, 3600 s before" in text for text in runs["run-2"].warnings)

    def test_across_midnight(self, tmp_path: Path) -> None:
        runs = self.runs(tmp_path, TimeZero="00:30:00", InjectionStart=-3600, ScanStart=0)
        assert runs["run-1"].blood[0].refused  # 10:00 and 23:30 are two injections
        write(tmp_path / "sub-01" / "pet" / "sub-01_run-1_pet.json", SIDECAR | {"TimeZero": "23:30:00"})
        np.testing.assert_allclose(opened(find_scans(str(tmp_path))[1]).blood[0].time, [0, 30, 20])

    def test_two_injections_share_no_blood(self, tmp_path: Path) -> None:
        for ingested in self.runs(tmp_path, TimeZero="11:00:00").values():
            assert "two injections" in ingested.blood[0].refused
            assert "3600 s apart" in ingested.blood[0].refused

    def test_the_same_time_zero_needs_no_word(self, tmp_path: Path) -> None:
        for ingested in self.runs(tmp_path, TracerName="FDG").values():
            assert ingested.warnings == ()

    def test_blood_named_for_a_run_is_of_that_run(self, tmp_path: Path) -> None:
        runs = self.runs(tmp_path, "sub-01_run-2", TimeZero="11:00:00")
        assert (len(runs["run-1"].blood), len(runs["run-2"].blood)) == (0, 1)
        assert runs["run-2"].warnings == ()

    def test_blood_may_state_its_own(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        write(pet / "sub-01_recording-manual_blood.json", BLOOD | {"TimeZero": "09:59:50"})
        np.testing.assert_allclose(ingest(tmp_path).blood[0].time, [-10, 20, 10])
        write(pet / "sub-01_recording-manual_blood.json", BLOOD | {"TimeZero": "ten"})
        refused(tmp_path, "text of 3 characters, not a clock time")

    def test_two_tracers_share_no_blood(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        for tracer in ("FDG", "PIB"):
            write(pet / f"sub-01_trc-{tracer}_pet.json", SIDECAR)
            write_image(pet / f"sub-01_trc-{tracer}_pet.nii.gz", voxels())
        (pet / "sub-01_pet.nii.gz").unlink()
        (pet / "sub-01_pet.json").unlink()
        for files in find_scans(str(tmp_path)):
            assert "two tracers" in opened(files).blood[0].refused


def refused(root: Path, *words: str) -> None:
    """The only recording of the only scan must be refused with all these words; the scan itself is sound."""
    ingested = ingest(root)
    (recording,) = ingested.blood
    assert recording.arterial
    assert len(recording.time) == 0
    (finding,) = (finding for finding in ingested.findings if finding.withholds)
    assert (finding.check, finding.part) == ("blood-file", Part.BLOOD)
    assert finding.remedy
    assert str(root) in finding.where
    for word in words:
        assert word in str(finding)
        assert word in recording.refused
