"""The reader of region curves and blood in tables of PMOD."""

from pathlib import Path

import numpy as np
import pytest

from dlif_core.errors import CurveError, FrameTimingError, InputError, UnitError
from dlif_core.ingest import READERS, image_geometry, open_scan
from dlif_core.ingest.pmod.blood import PARENT, PLASMA, WHOLE_BLOOD, read_pmod_blood
from dlif_core.ingest.tables import read_table
from tests.unit.ingest.phantom import mutations, outcome, scans
from tests.unit.ingest.pmod.tables import TAC, WHOLE, write_pmod
from tests.unit.ingest.test_spreadsheets import workbook

READER = READERS.named("pmod-curves")


def test_curves_and_blood_of_a_folder(tmp_path: Path) -> None:
    write_pmod(tmp_path)
    (files,) = scans(READER, tmp_path)
    assert not files.has_image
    assert image_geometry(files) is None
    with open_scan(files) as read:
        assert read.scan.regions.names == ("liver", "brain left")
        assert read.scan.regions.activity.tolist() == [[1500, 2500, 3500], [2000, 3000, 4000]]
        assert read.scan.timing.end.tolist() == [30, 90, 690]
        one, two = read.blood
        assert (one.time.tolist(), one.whole_blood.tolist()) == ([0, 10, 60, 600], [0, 20e3, 10e3, 4e3])
        assert (two.time.tolist(), two.plasma.tolist()) == ([0, 60, 600], [0, 11e3, 5e3])
        assert two.parent_fraction.tolist() == [1, 0.9, 0.5]
        assert two.source.endswith(".bld")


@pytest.mark.parametrize(
    "tac",
    [
        TAC.replace("seconds", "minutes").replace("690", "11.5").replace("90", "1.5").replace("30", "0.5"),
        TAC.replace("brain left", "brain_left").replace("\t", "   "),
        TAC.replace("brain left", "brain_left").replace("\t", " "),
        TAC.replace("end[kBq/cc]", "end[seconds]").replace("liver", "liver[kBq/cc]"),
    ],
)
def test_other_spellings_of_curves(tmp_path: Path, tac: str) -> None:
    write_pmod(tmp_path, tac=tac)
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert read.scan.regions.activity[0].tolist() == [1500, 2500, 3500]
        assert read.scan.timing.end.tolist() == [30, 90, 690]


@pytest.mark.parametrize("head", ["# a remark\n//", "# a remark\n"])
def test_statistics_with_a_row_for_each_value(tmp_path: Path, head: str) -> None:
    rows = [("liver", (1.5, 2.5, 3.5)), ("brain", (2, 3, 4))]
    lines = [
        f"Jane Doe\t{name}\t{time}\t{value}\t7"
        for name, values in rows
        for time, value in zip((15, 60, 390), values, strict=True)
    ]
    header = "PatientName [string]\tVoiName(Region) [string]\tTime [seconds]\tAveraged [kBq/cc]\tVolume [ccm]"
    write_pmod(tmp_path, blood=False).rename(tmp_path / "mouse.voistat")
    (tmp_path / "mouse.voistat").write_text("\n".join([head + header, *lines]) + "\n")
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert read.scan.regions.activity.tolist() == [[1500, 2500, 3500], [2000, 3000, 4000]]
        assert read.scan.timing.end.tolist() == [30, 90, 690]
        assert any("middle of each frame" in finding.message for finding in read.findings)


def test_scans_of_one_folder_have_their_own_blood(tmp_path: Path) -> None:
    write_pmod(tmp_path, "m1")
    write_pmod(tmp_path, "m2", blood=False)
    (tmp_path / "m2_x.voistat").write_text("no curves\n")
    one, two = scans(READER, tmp_path)
    assert (len(one.role("blood")), len(two.role("blood"))) == (3, 0)


def test_a_ratio_gives_plasma(tmp_path: Path) -> None:
    write_pmod(tmp_path)
    (tmp_path / "mouse_plasma.bld").write_text("time[minutes]\tvalue[kBq/cc]\n1\t0.5\n10\t0.25\n99\t1\n")
    (tmp_path / "mouse_plasma.bld").rename(tmp_path / "mouse_Plasma-WholeBlood-Ratio.bld")
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        plasma = next(one for one in read.blood if one.plasma is not None)
        assert (plasma.time.tolist(), plasma.plasma.tolist()) == ([60, 600], [5e3, 1e3])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("time[seconds]\tcurve[kBq/cc]\n0\t1\n", "can't be told"),
        ("time\twhole-blood[kBq/cc]\n0\t1\n", "no unit is given"),
        ("when[s]\twhole-blood[kBq/cc]\n0\t1\n", "not called time"),
        ("time[seconds]\n0\n", "no column beside"),
        ("time[seconds]\twhole-blood[1/1]\n0\t1\n", "unit of its column"),
        ("time[seconds]\twhole-blood[kBq/cc]\n0\tJane\n", "not a number"),
        ("time[seconds]\tplasma[kBq/cc]\n0\t3\n", "hold the same"),
    ],
)
def test_blood_that_cannot_be_read_costs_the_blood_alone(tmp_path: Path, content: str, message: str) -> None:
    write_pmod(tmp_path)
    (tmp_path / "mouse_wb.bld").rename(tmp_path / "mouse_1.bld")
    (tmp_path / "mouse_1.bld").write_text(content)
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert read.blood == ()
        assert any(message in finding.message for finding in read.findings)
        assert len(read.scan.regions.names) == 2


@pytest.mark.parametrize(
    ("tac", "kind", "message"),
    [
        ("begin[seconds]\tend[kBq/cc]\tliver\n0\t1\t2\n", FrameTimingError, "no columns start"),
        ("start\tend[kBq/cc]\tliver\n0\t1\t2\n", UnitError, "no unit is given"),
        ("start[seconds]\tend[kBq/cc]\tliver\n", FrameTimingError, "no frames"),
        ("start[seconds]\tend[kBq/cc]\tliver\n60\t30\t2\n", FrameTimingError, "duration"),
        ("start[seconds]\tend[kBq/cc]\tliver[Bq/cc]\n0\t600\t2\n", UnitError, "several units"),
        ("start[seconds]\tend[1/1]\tliver\n0\t600\t2\n", UnitError, "no unit is given|not a known unit"),
        ("start[seconds]\tend[kBq/cc]\tliver\n0\t600\tnan\n", CurveError, "no region has a finite curve"),
        ("", InputError, "empty"),
    ],
)
def test_curves_that_cannot_be_read_are_refused(tmp_path: Path, tac: str, kind: type, message: str) -> None:
    path = write_pmod(tmp_path, tac=tac)
    (files,) = scans(READER, tmp_path)
    with pytest.raises(kind, match=message) as fault, open_scan(files):
        pass
    assert str(path) in str(fault.value)


def test_spoilt_tables_are_refused_or_read(tmp_path: Path) -> None:
    path = write_pmod(tmp_path, blood=False)
    bld = tmp_path / "mouse_wb.bld"
    outcomes = set()
    (tmp_path / "mouse_wb.bld").write_text(WHOLE)
    (files,) = scans(READER, tmp_path)
    for number, content in enumerate(mutations(TAC.encode(), 300)):
        path.write_bytes(content)
        bld.write_bytes(list(mutations(WHOLE.encode(), 1 + number % 40))[-1])

        def read_it() -> None:
            with open_scan(files) as read:
                assert np.isfinite(read.scan.regions.activity).all()

        outcomes.add(outcome(read_it))
    assert outcomes == {"read", "refused"}


def test_spoilt_blood_is_refused_or_read(tmp_path: Path) -> None:
    paths = [tmp_path / "wb.bld", tmp_path / "plasma.bld"]
    paths[1].write_text("time[minutes]\tplasma[Bq/cc]\n0\t0\n1\t11000\n")
    for content in [*mutations(WHOLE.encode(), 300), *mutations(workbook(["time[s]", "wb[Bq/cc]"], [0, 1]), 30)]:
        paths[0].write_bytes(content)
        outcome(lambda: read_pmod_blood([str(path) for path in paths], []))


@pytest.mark.realdata
class TestReal:
    """Blood files of PMOD and their conversions to BIDS by another program."""

    @pytest.fixture
    def pmod(self, real_data: Path) -> Path:
        return real_data / "ecat_and_blood_import" / "pet2bids_blood" / "pmod"

    def conversion(self, path: Path) -> dict[str, dict[float, float]]:
        table = read_table(str(path))
        times = table.numbers("time")
        return {name: dict(zip(times, table.numbers(name), strict=True)) for name in table.columns if name != "time"}

    def ours(self, uris: list[Path]) -> dict[str, dict[float, float]]:
        found: dict[str, dict[float, float]] = {}
        for table in read_pmod_blood([str(uri) for uri in uris], []).values():
            times = np.array(table.columns["time"], dtype=float)
            for name in (WHOLE_BLOOD, PLASMA, PARENT):
                if name in table.columns:
                    found[name] = dict(zip(times, table.columns[name], strict=True))
        return found

    def same(self, ours: dict[float, float], theirs: dict[float, float]) -> int:
        """Number of samples at the same time, which must have the same value."""
        times = np.array(list(ours))
        alike = 0
        for time, value in theirs.items():
            nearest = int(np.argmin(np.abs(times - time)))
            if abs(times[nearest] - time) < 1e-3 and np.isfinite(value):
                assert list(ours.values())[nearest] == pytest.approx(value, rel=1e-5)
                alike += 1
        return alike

    def test_whole_blood_and_parent_plasma(self, pmod: Path) -> None:
        folder = pmod / "Ex_bld_wholeblood_and_plasma_only"
        theirs = self.conversion(folder / "test_recording-manual_blood.tsv")
        (ours,) = [self.ours(sorted(folder.glob("*.bld")))]
        assert self.same(ours[WHOLE_BLOOD], theirs["whole_blood_radioactivity"]) == 19
        assert self.same(ours[PLASMA], theirs["plasma_radioactivity"]) == 19

    def test_workbooks_called_bld(self, pmod: Path) -> None:
        folder = pmod / "Ex_bld_manual_and_autosampled_mixed"
        manual = self.conversion(folder / "converted_recording-manual_blood.tsv")
        automatic = self.conversion(folder / "converted_recording-autosampler_blood.tsv")
        names = ("S001_Whole Blood Activity", "S001_Plasma-WholeBlood-Ratio", "S001_ParentFraction")
        ours = self.ours([folder / f"{name}.bld" for name in names])
        assert self.same(ours[WHOLE_BLOOD], automatic["whole_blood_radioactivity"]) == 555
        assert self.same(ours[PARENT], manual["metabolite_parent_fraction"]) == 7
        assert self.same(self.ours([folder / "S001_Plasma Activity.bld"])[PLASMA], {300: 2.60382573968554}) == 1

    def test_a_ratio_and_a_parent_fraction_as_text(self, pmod: Path) -> None:
        folder = pmod / "Ex_txt_manual_and_autosampled_mixed"
        manual = self.conversion(folder / "converted_recording-manual_blood.tsv")
        automatic = self.conversion(folder / "converted_recording-autosampler_blood.tsv")
        ours = self.ours(
            [folder / f"{n}.txt" for n in ("WholeBloodActivity", "PlasmaWholeBloodRatio", "ParentFraction")]
        )
        assert self.same(ours[WHOLE_BLOOD], automatic["whole_blood_radioactivity"]) == 179
        assert self.same(ours[PARENT], manual["metabolite_parent_fraction"]) == 7
        theirs = {time: value for time, value in manual["plasma_radioactivity"].items() if time > 100}
        assert self.same(ours[PLASMA], theirs) == 5
        # between two samples of whole blood, 94.98 s and 96 s, the conversion takes the later one
        between = next(value for time, value in ours[PLASMA].items() if abs(time - 94.998) < 1e-3)
        assert between == pytest.approx(0.98 * np.interp(94.998, [94.98, 96.0], [3.86549349, 3.48807933]))


def test_a_table_of_curves_as_source_brings_its_blood(tmp_path: Path) -> None:
    write_pmod(tmp_path)
    (of_folder,) = scans(READER, tmp_path)
    (curves,) = of_folder.role("curves")
    (of_file,) = scans(READER, curves)
    assert of_file.files == of_folder.files
