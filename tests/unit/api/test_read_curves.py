"""Tables of region curves and blood: what they state, what must be given, what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dlif_core as dlif
from dlif_core.errors import BloodError, CurveError, FrameTimingError, InputError, MissingInputError, UnitError
from tests.unit.api.tables import BLOOD, blood_table, curves, tac_table
from tests.unit.kinetics.truth import F18, MOUSE

GIVEN = {"units": "kBq/mL", "blood_units": "kBq/mL", "radionuclide": "F18"}
EXPECTED = np.array(list(curves().values()))


def state(folder: Path, file: str, **fields: object) -> None:
    """Change fields of a sidecar; None removes one."""
    path = folder / file
    found = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in found.items() if value is not None}))


def plain() -> pd.DataFrame:
    return tac_table()


class TestUnits:
    def test_of_the_sidecar_are_converted(self, folder: Path) -> None:
        scan = dlif.read_curves("tacs.tsv", blood="blood.tsv")
        np.testing.assert_allclose(scan.regions.activity, EXPECTED, rtol=1e-12)
        assert scan.regions.names == ("cortex", "striatum")
        assert scan.timing == MOUSE
        assert (scan.acquisition.tracer, scan.acquisition.half_life) == ("FDG", F18)
        assert scan.acquisition.injected_activity == pytest.approx(9.3e6)
        (recording,) = scan.blood
        np.testing.assert_allclose(recording.plasma, BLOOD.plasma)
        assert recording.arterial

    @pytest.mark.parametrize("label", ["{} [kBq/mL]", "{} (kBq/cc)", "{}[KBQ/ML]"])
    def test_of_the_header_are_converted(self, label: str) -> None:
        table = plain().rename(columns={name: label.format(name) for name in ("cortex", "striatum")})
        scan = dlif.read_curves(table, radionuclide="F18")
        np.testing.assert_allclose(scan.regions.activity, EXPECTED, rtol=1e-12)
        assert scan.regions.names == ("cortex", "striatum")

    def test_of_a_name_in_brackets_are_none(self) -> None:
        table = plain().rename(columns={"cortex": "cortex (left)"})
        assert dlif.read_curves(table, units="kBq/mL", radionuclide="F18").regions.names[0] == "cortex (left)"

    def test_of_times_may_be_minutes(self) -> None:
        table = plain()
        table[["frame_start", "frame_end"]] /= 60
        table = table.rename(columns={"frame_start": "frame_start [min]", "frame_end": "frame_end [min]"})
        assert dlif.read_curves(table, units="kBq/mL", radionuclide="F18").timing == MOUSE

    def test_that_are_missing_are_refused(self) -> None:
        with pytest.raises(UnitError, match="table, column cortex: the unit is not stated") as caught:
            dlif.read_curves(plain(), radionuclide="F18")
        assert 'units="kBq/mL"' in caught.value.hint

    def test_that_are_unknown_are_refused(self) -> None:
        with pytest.raises(UnitError, match="column cortex: 'furlong' is not a known unit"):
            dlif.read_curves(plain(), units="furlong", radionuclide="F18")
        with pytest.raises(UnitError, match="column cortex: text of 7 characters is not a known unit"):
            dlif.read_curves(plain().rename(columns={"cortex": "cortex [furlong]"}), units="kBq/mL", radionuclide="F18")

    def test_that_contradict_the_table_are_refused(self, folder: Path) -> None:
        with pytest.raises(UnitError, match="said to be in kBq/mL, but units is 'Bq/mL'"):
            dlif.read_curves("tacs.tsv", units="Bq/mL")
        assert dlif.read_curves("tacs.tsv", units="kBq/cc").regions.names == ("cortex", "striatum")

    def test_of_blood_are_its_own(self, folder: Path) -> None:
        (folder / "blood.json").unlink()
        with pytest.raises(UnitError, match="whole_blood_radioactivity: the unit is not stated") as caught:
            dlif.read_curves("tacs.tsv", blood="blood.tsv", units="kBq/mL")
        assert 'blood_units="kBq/mL"' in caught.value.hint
        scan = dlif.read_curves("tacs.tsv", blood="blood.tsv", blood_units="kBq/mL")
        np.testing.assert_allclose(scan.blood[0].whole_blood, BLOOD.whole_blood)

    def test_of_times_that_look_like_minutes_are_asked_for(self) -> None:
        table = plain()
        table[["frame_start", "frame_end"]] /= 60
        with pytest.raises(UnitError, match=r"ends at 45\.5, which may be minutes or seconds") as caught:
            dlif.read_curves(table, units="kBq/mL", radionuclide="F18")
        assert 'time_unit="min"' in caught.value.hint
        given = dlif.read_curves(table, units="kBq/mL", time_unit="min", radionuclide="F18")
        assert given.timing == MOUSE

    @pytest.mark.parametrize("fields", [{"Units": "Bq/mL"}, {"cortex": {"Units": "Bq/mL"}}])
    def test_of_header_and_sidecar_that_differ_are_refused(self, folder: Path, fields: dict[str, object]) -> None:
        plain().rename(columns={"cortex": "cortex [kBq/mL]"}).to_csv("tacs.tsv", sep="\t", index=False)
        state(folder, "tacs.json", **fields)
        with pytest.raises(UnitError, match="column cortex: the table and its sidecar state several units"):
            dlif.read_curves("tacs.tsv")

    @pytest.mark.parametrize("names", [("frame_start [min]", "frame_duration"), ("frame_start", "frame_end [min]")])
    def test_of_times_that_one_column_states_and_another_does_not_are_refused(self, names: tuple[str, str]) -> None:
        columns = {"start": MOUSE.start / 60, "duration": MOUSE.duration / 60, "end": MOUSE.end / 60}
        times = {name: columns[name.split(" ")[0].removeprefix("frame_")] for name in names}
        table = pd.DataFrame({**times, "cortex [kBq/mL]": plain()["cortex"]})
        with pytest.raises(UnitError, match=r"is in min, but the unit of column frame_\w+ is not stated"):
            dlif.read_curves(table, radionuclide="F18")
        assert dlif.read_curves(table, radionuclide="F18", time_unit="min").timing == MOUSE

    def test_of_plasma_and_whole_blood_that_differ_by_a_thousand_are_refused(self) -> None:
        for column in ("plasma_radioactivity", "whole_blood_radioactivity"):
            blood = blood_table()
            blood[column] *= 1e3
            with pytest.warns(dlif.DlifWarning, match="times whole blood"):
                scan = dlif.read_curves(plain(), blood, **GIVEN)
            with pytest.raises(BloodError, match=r"times whole blood.*accept"):
                dlif.fit(scan, "2tcm-irreversible")
            with pytest.warns(dlif.DlifWarning, match="times whole blood"):
                accepted = dlif.read_curves(plain(), blood, accept=["plasma-to-blood", "tissue-to-blood"], **GIVEN)
            assert len(accepted.blood[0].time) == len(blood)

    @pytest.mark.parametrize("fields", [{"half_life": 1221.8}, {"radionuclide": "C11"}])
    def test_of_decay_are_those_of_the_table(self, fields: dict[str, object]) -> None:
        table = plain()
        table.attrs |= fields
        with pytest.raises(InputError, match=r"the data state .*, but radionuclide is 'F18'"):
            dlif.read_curves(table, units="kBq/mL", radionuclide="F18")
        assert dlif.read_curves(table, units="kBq/mL", radionuclide="11C").acquisition.half_life == 1221.84

    def test_of_a_dose_are_kept_beside_a_radionuclide(self, folder: Path) -> None:
        state(folder, "tacs.json", RadionuclideHalfLife=None, TracerRadionuclide=None, Species="mouse")
        acquisition = dlif.read_curves("tacs.tsv", radionuclide="F18").acquisition
        assert acquisition == dlif.Acquisition("FDG", 6586.2, 9.3e6, species="mouse")


class TestTables:
    def test_may_spell_columns_in_other_ways(self) -> None:
        names = {"frame_start": "Frame Start [s]", "frame_end": "FRAME-END", "cortex": "Cortex"}
        blood = blood_table().rename(columns={"time": "Time [s]", "plasma_radioactivity": "Plasma"})
        scan = dlif.read_curves(plain().rename(columns=names), blood, **GIVEN)
        assert scan.timing == MOUSE
        assert scan.regions.names == ("Cortex", "striatum")
        np.testing.assert_allclose(scan.blood[0].plasma, BLOOD.plasma)

    def test_may_have_empty_cells_around_them(self, folder: Path) -> None:
        text = (folder / "tacs.tsv").read_text()
        (folder / "tacs.tsv").write_text(text.replace("\n", "\t\t\n") + "\t\t\t\t\t\n")
        scan = dlif.read_curves("tacs.tsv")
        np.testing.assert_allclose(scan.regions.activity, EXPECTED, rtol=1e-12)

    def test_have_no_region_of_an_index_or_of_frame_times(self, folder: Path) -> None:
        plain().assign(mid_time=MOUSE.mid).to_csv("tacs.csv")
        table = pd.read_csv("tacs.csv")
        assert table.columns[0] == "Unnamed: 0"
        for given in (table, "tacs.csv"):
            regions = dlif.read_curves(given, units="kBq/mL", radionuclide="F18").regions
            assert regions.names == ("cortex", "striatum")

    def test_whose_end_times_and_durations_differ_are_refused(self) -> None:
        given = {"units": "kBq/mL", "radionuclide": "F18"}
        assert dlif.read_curves(plain().assign(frame_duration=MOUSE.duration), **given).timing == MOUSE
        with pytest.raises(FrameTimingError, match="an end time that is not its start and duration"):
            dlif.read_curves(plain().assign(frame_duration=MOUSE.duration / 2), **given)

    def test_of_blood_with_two_columns_for_one_are_refused(self) -> None:
        with pytest.raises(InputError, match="'plasma_radioactivity' and 'plasma' mean the same"):
            dlif.read_curves(plain(), blood_table().assign(plasma=1.0), **GIVEN)

    def test_of_blood_of_two_scans_are_refused(self, folder: Path) -> None:
        for session in ("ses-a", "ses-b"):
            blood_table().to_csv(f"sub-01_{session}_recording-manual_blood.tsv", sep="\t", index=False)
        files = sorted(folder.glob("*_blood.tsv"))
        with pytest.raises(BloodError, match="two recordings are called 'manual'"):
            dlif.read_curves("tacs.tsv", blood=files, blood_units="kBq/mL")

    def test_of_blood_name_what_is_not_used(self) -> None:
        blood = blood_table().rename(columns={"plasma_radioactivity": "Cp"})
        with pytest.warns(dlif.DlifWarning, match="columns of blood that are not used: Cp"):
            dlif.read_curves(plain(), blood, **GIVEN)

    @pytest.mark.parametrize(
        "values", [pd.to_timedelta(MOUSE.start, "s"), MOUSE.start > 9, MOUSE.start * 1j, pd.Timestamp("2020-01-01")]
    )
    def test_of_other_things_than_numbers_are_refused(self, values: object) -> None:
        for column in ("frame_start", "cortex"):
            with pytest.raises(InputError, match=f"column '{column}' holds .*, not numbers"):
                dlif.read_curves(plain().assign(**{column: values}), units="kBq/mL", radionuclide="F18")

    def test_may_be_any_path(self, folder: Path) -> None:
        class Somewhere:
            def __fspath__(self) -> str:
                return str(folder / "tacs.tsv")

        assert dlif.read_curves(Somewhere()).timing == MOUSE

    @pytest.mark.parametrize(("name", "mark"), [("a.csv", ";"), ("a.csv", "\t"), ("a.tsv", ","), ("a.tsv", ";")])
    def test_that_are_split_otherwise_say_so(self, folder: Path, name: str, mark: str) -> None:
        plain().to_csv(name, sep=mark, index=False)
        with pytest.raises(InputError, match="its cells are split by"):
            dlif.read_curves(name, units="kBq/mL", radionuclide="F18")

    def test_may_be_csv_with_durations(self, folder: Path) -> None:
        table = plain()
        table["frame_duration"] = table.pop("frame_end") - table["frame_start"]
        table.to_csv("tacs.csv", index=False)
        (folder / "tacs.json").rename(folder / "other.json")
        scan = dlif.read_curves(folder / "tacs.csv", units="kBq/mL", radionuclide="18F")
        np.testing.assert_allclose(scan.regions.activity, EXPECTED, rtol=1e-9)
        assert scan.timing == MOUSE

    def test_may_have_the_frames_as_index(self) -> None:
        table = plain().set_index(["frame_start", "frame_end"])
        assert dlif.read_curves(table, units="kBq/mL", radionuclide="F18").timing == MOUSE

    def test_of_blood_may_be_several(self, folder: Path) -> None:
        early, late = blood_table().iloc[:40], blood_table().iloc[40:]
        scan = dlif.read_curves("tacs.tsv", blood=[early, late], blood_units="kBq/mL")
        assert len(scan.blood) == 2
        curve = dlif.estimate_input_function(scan, "arterial")
        np.testing.assert_allclose(np.interp(BLOOD.time, curve.time, curve.plasma), BLOOD.plasma, atol=1e-6)

    def test_of_venous_blood_give_no_arterial_curve(self, folder: Path) -> None:
        (folder / "blood.tsv").rename(folder / "venous_blood.tsv")
        (folder / "blood.json").rename(folder / "venous_blood.json")
        scan = dlif.read_curves("tacs.tsv", blood="venous_blood.tsv")
        with pytest.raises(MissingInputError, match="only venous blood"):
            dlif.fit(scan, "1tcm")

    def test_may_name_columns_plainly(self, folder: Path) -> None:
        table = blood_table().rename(
            columns={"whole_blood_radioactivity": "whole_blood [kBq/mL]", "plasma_radioactivity": "plasma [kBq/mL]"}
        )
        scan = dlif.read_curves("tacs.tsv", blood=table.assign(parent_fraction=0.5))
        np.testing.assert_allclose(scan.blood[0].plasma, BLOOD.plasma)
        np.testing.assert_allclose(scan.blood[0].parent_fraction, 0.5)

    def test_state_gaps_as_a_warning(self) -> None:
        table = plain().drop(index=5)
        with pytest.warns(dlif.DlifWarning, match="gap of 5 s after frame 5"):
            scan = dlif.read_curves(table, units="kBq/mL", radionuclide="F18")
        assert scan.warnings == ("there is a gap of 5 s after frame 5.",)


@pytest.mark.parametrize(
    ("change", "kind", "word"),
    [
        (lambda t: t.drop(columns="frame_end"), FrameTimingError, "no frame times"),
        (lambda t: t[["frame_start", "frame_end"]], dlif.InputError, "no column of a region"),
        (lambda t: t.iloc[:0], dlif.InputError, "no rows"),
        (lambda t: t.assign(cortex="high"), dlif.InputError, "'high' in column 'cortex', data row 1, is not a number"),
        (lambda t: t.assign(cortex=["high", *t["cortex"][1:]]), dlif.InputError, "does not hold numbers"),
        (lambda t: t.assign(cortex=np.nan), CurveError, "not finite"),
        (lambda t: t.iloc[::-1], FrameTimingError, "Sort the frames"),
        (lambda t: t.assign(frame_end=np.nan), FrameTimingError, "finite"),
        (lambda t: pd.concat([t, t[["cortex"]]], axis=1), dlif.InputError, "duplicate"),
    ],
)
def test_tables_that_are_refused(change, kind: type[Exception], word: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(kind, match=word):
        dlif.read_curves(change(plain()), units="kBq/mL", radionuclide="F18")


class TestFiles:
    def test_that_are_missing_are_named(self, folder: Path) -> None:
        with pytest.raises(MissingInputError, match=r"none\.tsv: the file is not there"):
            dlif.read_curves("none.tsv")

    @pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a\tb\n1\t2\n1\t2\t3\n"])
    def test_that_are_no_tables_are_refused(self, folder: Path, content: bytes) -> None:
        (folder / "bad.tsv").write_bytes(content)
        with pytest.raises(dlif.InputError, match=r"bad\.tsv"):
            dlif.read_curves("bad.tsv", units="kBq/mL", radionuclide="F18")

    def test_name_a_cell_that_is_no_number(self, folder: Path) -> None:
        for name, mark in (("bad.tsv", "\t"), ("bad.csv", ";")):
            cells = plain().astype(object)
            cells.loc[2, "cortex"] = "70,5"
            cells.to_csv(name, sep="\t" if mark == "\t" else ",", index=False)
            with pytest.raises(InputError, match=rf"{name}: '70,5' in column 'cortex', data row 3") as caught:
                dlif.read_curves(name, units="kBq/mL", radionuclide="F18")
            assert "decimal point, not a comma" in caught.value.hint

    def test_with_quotation_marks_lose_no_row(self, folder: Path) -> None:
        remarks = ["ok"] * len(MOUSE)
        remarks[3], remarks[9] = '"late', 'again"'
        rows = zip((folder / "blood.tsv").read_text().splitlines(), ["remark", *remarks], strict=False)
        (folder / "blood.tsv").write_text("\n".join(f"{row}\t{remark}" for row, remark in rows))
        with pytest.raises(InputError, match="column 'remark'"):
            dlif.read_curves("tacs.tsv", blood="blood.tsv")
        lines = (folder / "tacs.tsv").read_text().splitlines()
        lines[3], lines[8] = f'"{lines[3]}', f'{lines[8]}"'
        (folder / "tacs.csv").write_text("\n".join(lines).replace("\t", ","))
        with pytest.raises(InputError, match=r"tacs\.csv: a cell runs over the end of its line, in row 3"):
            dlif.read_curves("tacs.csv", units="kBq/mL", radionuclide="F18")

    def test_without_half_life_ask_for_it(self, folder: Path) -> None:
        state(folder, "tacs.json", RadionuclideHalfLife=None, TracerRadionuclide=None)
        with pytest.raises(dlif.InputError, match="half-life of the radionuclide is unknown") as caught:
            dlif.read_curves("tacs.tsv")
        assert 'radionuclide="F18"' in caught.value.hint
        assert dlif.read_curves("tacs.tsv", radionuclide="C-11").acquisition.half_life == 1221.84

    @pytest.mark.parametrize("field", [{"InjectionStart": 30}, {"ImageDecayCorrected": False}])
    def test_that_do_not_refer_to_injection_are_refused(self, folder: Path, field: dict[str, object]) -> None:
        state(folder, "tacs.json", **field)
        with pytest.raises(dlif.InputError, match="do not refer to injection"):
            dlif.read_curves("tacs.tsv")

    def test_of_blood_without_activity_are_refused(self, folder: Path) -> None:
        blood_table()[["time"]].to_csv("times.tsv", sep="\t", index=False)
        with pytest.raises(BloodError, match="no column holds blood activity"):
            dlif.read_curves("tacs.tsv", blood="times.tsv")
        blood_table().drop(columns="time").to_csv("timeless.tsv", sep="\t", index=False)
        with pytest.raises(BloodError, match="no column 'time'"):
            dlif.read_curves("tacs.tsv", blood="timeless.tsv")
