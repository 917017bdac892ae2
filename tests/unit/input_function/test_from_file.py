"""Input functions from files: curves of known truth written in each format come back, and the rest is refused."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlif_core.curve import InputFunction
from dlif_core.errors import BloodError, ConfigurationError, InputError, MissingInputError, UnitError
from dlif_core.input_function import METHODS, estimate
from dlif_core.kinetics import FitSettings, fit_regions
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves
from tests.unit.input_function.files import (
    END,
    MC1,
    TABLE,
    TIME,
    bloodstream,
    fraction,
    parent,
    plasma,
    pmod,
    scan,
    table,
    text,
    whole_blood,
    write,
)
from tests.unit.kinetics.truth import ode_curve, schedule


def read(*paths: Path, of: DynamicScan | None = None, **options: Any) -> InputFunction:
    return estimate("from-file", of or scan(), (), METHODS["from-file"].parse({"path": paths, **options}))


def assert_true(curve: InputFunction, time: np.ndarray = TIME, rtol: float = 1e-6) -> None:
    for name, truth in (("whole_blood", whole_blood), ("plasma", parent)):
        np.testing.assert_allclose(np.interp(time, curve.time, getattr(curve, name)), truth(time), rtol=rtol, atol=1e-3)


class TestFormats:
    def test_bloodstream(self, tmp_path: Path) -> None:
        curve = read(bloodstream(tmp_path / "sub-01_inputfunction.tsv"))
        assert_true(curve)
        assert curve.warnings == ()
        assert curve.time[[0, -1]].tolist() == [0.0, END]
        assert curve.method == "from-file"

    def test_pmod_in_a_file_for_each_quantity(self, tmp_path: Path) -> None:
        paths = (
            pmod(tmp_path / "wb.bld", "whole-blood[kBq/cc]", whole_blood(TIME) / 1e3),
            pmod(tmp_path / "cp.crv", "plasma[Bq/cc]", plasma(TIME)),
            pmod(tmp_path / "pf.bld", "parent-fraction[1/1]", fraction(TIME)),
        )
        curve = read(*paths, decay_corrected_to="injection")
        assert_true(curve)
        assert curve.warnings == ()

    def test_pmod_with_a_plasma_fraction(self, tmp_path: Path) -> None:
        wb = pmod(tmp_path / "wb.bld", "whole-blood[kBq/cc]", whole_blood(TIME) / 1e3)
        few = TIME[::10]
        ratio = pmod(tmp_path / "ratio.bld", "plasma-fraction[1/1]", np.full(len(few), 1.3), few)
        pf = pmod(tmp_path / "pf.bld", "parent-fraction[1/1]", fraction(TIME))
        assert_true(read(wb, ratio, pf, decay_corrected_to="injection"))

    def test_pmod_states_the_unit_once_for_all_columns(self, tmp_path: Path) -> None:
        rows = text(
            **{
                "sample-time[seconds]": TIME,
                "whole-blood[kBq/cc]": whole_blood(TIME) / 1e3,
                "Parent": parent(TIME) / 1e3,
            }
        )
        assert_true(read(write(tmp_path / "a.crv", rows), decay_corrected_to="injection"))

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    def test_table_with_a_mapping_of_columns(self, tmp_path: Path, separator: str) -> None:
        curve = read(table(tmp_path / "a.csv", separator=separator), **TABLE)
        assert_true(curve)
        assert curve.warnings == ()

    def test_quoted_names_and_a_byte_order_mark(self, tmp_path: Path) -> None:
        rows = table(tmp_path / "a.csv").read_text().replace("t,wb,cp,aif,ppf", '\ufeff"t","wb","cp","aif","ppf"')
        assert_true(read(write(tmp_path / "a.csv", rows), **TABLE))

    def test_real_files_of_pmod(self, real_data: Path) -> None:
        """The fixtures of PET2BIDS, whose converted samples are the truth."""
        folder = real_data / "ecat_and_blood_import/pet2bids_blood/pmod"
        samples = np.genfromtxt(
            folder / "Ex_bld_wholeblood_and_plasma_only/test_recording-manual_blood.tsv", skip_header=1
        )
        paths = [
            folder / "Ex_bld_wholeblood_and_plasma_only" / name for name in ("whole_blood.bld", "plasma_parent.bld")
        ]
        curve = read(*paths, of=scan(end=7200), decay_corrected_to="injection")
        inside = samples[:, 0] < 7200
        for name, column in (("whole_blood", 1), ("plasma", 2)):
            found = np.interp(samples[inside, 0], curve.time, getattr(curve, name))
            np.testing.assert_allclose(found, 1e3 * samples[inside, column], rtol=1e-6, atol=1e-6)
        mixed = folder / "Ex_txt_manual_and_autosampled_mixed"
        curve = read(
            mixed / "WholeBloodActivity.txt",
            mixed / "ParentFraction.txt",
            format="pmod",
            decay_corrected_to="injection",
            of=scan(end=4200),
        )
        sampled = np.genfromtxt(mixed / "converted_recording-autosampler_blood.tsv", skip_header=1)
        np.testing.assert_allclose(
            np.interp(sampled[1:, 0], curve.time, curve.whole_blood), 1e3 * sampled[1:, 1], rtol=1e-2
        )
        np.testing.assert_allclose(
            np.interp(2400, curve.time, curve.plasma) / np.interp(2400, curve.time, curve.whole_blood), 0.298, rtol=1e-6
        )

    def test_a_spreadsheet_named_bld_is_refused(self, real_data: Path) -> None:
        folder = real_data / "ecat_and_blood_import/pet2bids_blood/pmod/Ex_bld_manual_and_autosampled_mixed"
        with pytest.raises(InputError, match="spreadsheet"):
            read(folder / "S001_Plasma Activity.bld", decay_corrected_to="injection")


class TestDecay:
    @pytest.mark.parametrize("injection", [0.0, 300.0, -120.0])
    def test_bloodstream_counts_from_the_time_zero_of_the_scan(self, tmp_path: Path, injection: float) -> None:
        path = bloodstream(tmp_path / "sub-01_inputfunction.tsv", injection=injection)
        assert_true(read(path, of=scan(replace(MC1, injection_start=injection))))
        assert_true(read(path, of=scan(replace(MC1, injection_start=None)), injection_s=injection))

    def test_an_unknown_time_zero_is_told(self, tmp_path: Path) -> None:
        curve = read(bloodstream(tmp_path / "sub-01_inputfunction.tsv"), of=scan(replace(MC1, injection_start=None)))
        assert "state `injection_s`" in curve.warnings[0]

    def test_others_must_say_from_when_they_count_if_it_matters(self, tmp_path: Path) -> None:
        path = table(tmp_path / "a.csv")
        with pytest.raises(BloodError, match="from when the file counts"):
            read(path, of=scan(replace(MC1, injection_start=300.0)), **TABLE)
        assert_true(read(path, of=scan(replace(MC1, injection_start=300.0)), injection_s=0, **TABLE))

    def test_what_is_not_corrected_is_corrected(self, tmp_path: Path) -> None:
        decayed = 2.0 ** (-TIME / MC1.half_life)
        rows = text(**{"t": TIME, "wb": whole_blood(TIME) * decayed, "cp": parent(TIME) * decayed})
        options = {"columns": {"time": "t", "whole_blood": "wb", "parent": "cp"}, "units": "Bq/mL", "time_unit": "s"}
        assert_true(read(write(tmp_path / "a.tsv", rows), decay_corrected_to="none", **options))
        with pytest.raises(ConfigurationError, match="state `decay_corrected_to`"):
            read(tmp_path / "a.tsv", **options)


class TestOneQuantity:
    def one(self, tmp_path: Path, of: DynamicScan | None = None, **columns: np.ndarray) -> InputFunction:
        options = {name: {"whole_blood": "whole_blood"}.get(name, name) for name in columns}
        path = write(tmp_path / "a.tsv", text(time=TIME, **columns))
        stated = {"units": "Bq/mL", "time_unit": "s", "decay_corrected_to": "injection"}
        return read(path, of=of, columns={"time": "time", **options}, **stated)

    def test_whole_blood_alone(self, tmp_path: Path) -> None:
        curve = self.one(tmp_path, whole_blood=whole_blood(TIME))
        np.testing.assert_array_equal(curve.plasma, curve.whole_blood)
        assert "they are taken as equal" in " ".join(curve.warnings)
        assert "no parent fraction" in " ".join(curve.warnings)

    def test_whole_blood_with_a_parent_fraction(self, tmp_path: Path) -> None:
        curve = self.one(tmp_path, whole_blood=whole_blood(TIME), parent_fraction=fraction(TIME))
        at = np.interp(TIME, curve.time, curve.plasma)
        np.testing.assert_allclose(at, whole_blood(TIME) * fraction(TIME), rtol=1e-6, atol=1e-3)
        assert curve.warnings == ("whole blood and plasma were not both measured; they are taken as equal.",)

    def test_total_plasma_alone(self, tmp_path: Path) -> None:
        curve = self.one(tmp_path, plasma=plasma(TIME))
        np.testing.assert_allclose(np.interp(TIME, curve.time, curve.plasma), plasma(TIME), rtol=1e-6)
        assert "they are taken as equal" in " ".join(curve.warnings)
        assert "metabolites included" in " ".join(curve.warnings)
        assert curve.with_metabolites

    def test_parent_plasma_alone(self, tmp_path: Path) -> None:
        curve = self.one(tmp_path, parent=parent(TIME))
        np.testing.assert_allclose(np.interp(TIME, curve.time, curve.plasma), parent(TIME), rtol=1e-6)
        assert [warning for warning in curve.warnings if "blood volumes (vB) are wrong" in warning]

    def test_a_mouse_with_fdg_has_a_known_ratio(self, tmp_path: Path) -> None:
        mouse = Acquisition("FDG", 6586.2, 8e6, 0.022, species="mouse")
        curve = self.one(tmp_path, scan(mouse), whole_blood=whole_blood(TIME))
        assert curve.warnings == ()
        assert curve.plasma[-1] / curve.whole_blood[-1] == pytest.approx(1.165, abs=1e-3)

    def test_a_fraction_alone_is_refused(self, tmp_path: Path) -> None:
        path = pmod(tmp_path / "pf.bld", "parent-fraction[1/1]", fraction(TIME))
        with pytest.raises(BloodError, match="no column holds whole blood, plasma or parent plasma"):
            read(path, decay_corrected_to="injection")


class TestReach:
    def test_an_early_end_follows_the_tail(self, tmp_path: Path) -> None:
        short = TIME[TIME <= 0.85 * END]
        curve = read(bloodstream(tmp_path / "sub-01_inputfunction.tsv", short))
        assert [warning for warning in curve.warnings if "extrapolated log-linearly from 4500 s to 5400 s" in warning]
        assert curve.whole_blood[-1] == pytest.approx(whole_blood(np.array(END)), rel=1e-3)

    def test_a_too_early_end_is_refused(self, tmp_path: Path) -> None:
        path = bloodstream(tmp_path / "sub-01_inputfunction.tsv", TIME[TIME <= 0.6 * END])
        with pytest.raises(BloodError, match="would have to be extrapolated"):
            read(path)
        assert read(path, max_extrapolation=0.5).time[-1] == END

    def test_a_late_start_is_told(self, tmp_path: Path) -> None:
        curve = read(bloodstream(tmp_path / "sub-01_inputfunction.tsv", TIME[TIME >= 28]))
        assert "the rise of the curve is a straight line from injection" in " ".join(curve.warnings)

    def test_a_fraction_that_ends_early_is_held_and_told(self, tmp_path: Path) -> None:
        wb = pmod(tmp_path / "wb.bld", "plasma[kBq/cc]", plasma(TIME) / 1e3)
        pf = pmod(tmp_path / "pf.bld", "parent-fraction[1/1]", fraction(TIME[TIME <= 3600]), TIME[TIME <= 3600])
        curve = read(wb, pf, decay_corrected_to="injection")
        assert "the parent fraction is held constant from 3600 s to 5400 s." in curve.warnings
        assert curve.plasma[-1] == pytest.approx(plasma(np.array(END)) * fraction(np.array(3600)), rel=1e-6)


class TestSamples:
    def fault(self, tmp_path: Path, time: np.ndarray = TIME, wrong_at: float = -1.0) -> str:
        values = whole_blood(TIME) * np.where(wrong_at == TIME, 1e3, 1.0)
        path = write(tmp_path / "a.tsv", text(t=time, wb=values))
        options = {"columns": {"time": "t", "whole_blood": "wb"}, "units": "Bq/mL", "time_unit": "s"}
        with pytest.raises(BloodError) as fault:
            read(path, decay_corrected_to="injection", **options)
        assert fault.value.where == str(path)
        assert fault.value.hint
        return fault.value.message

    def test_a_curve_from_before_the_injection_is_refused(self, tmp_path: Path) -> None:
        assert "before the injection hold 100% of the highest activity" in self.fault(tmp_path, TIME - 600)

    def test_a_curve_from_after_the_scan_is_refused(self, tmp_path: Path) -> None:
        assert "the first sample is at 34200 s; the scan ends at 5400 s" in self.fault(tmp_path, TIME + 34200)

    def test_times_in_another_unit_are_refused(self, tmp_path: Path) -> None:
        assert "60 times as long as the scan" in self.fault(tmp_path, TIME * 60)

    @pytest.mark.parametrize("wrong_at", [20.0, 300.0, 3000.0])
    def test_a_value_in_another_unit_is_refused(self, tmp_path: Path, wrong_at: float) -> None:
        assert f"{wrong_at:g} s" in self.fault(tmp_path, wrong_at=wrong_at)


class TestUnits:
    def test_bloodstream_without_sidecar_has_none(self, tmp_path: Path) -> None:
        path = bloodstream(tmp_path / "sub-01_inputfunction.tsv", sidecar=False)
        with pytest.raises(UnitError, match="does not state the unit of this time"):
            read(path)
        with pytest.raises(UnitError, match="does not state the unit of this concentration"):
            read(path, time_unit="s")
        assert_true(read(path, time_unit="s", units="Bq/mL"))

    def test_a_contradiction_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UnitError, match=r"don't agree: Bq/mL, kBq/mL"):
            read(bloodstream(tmp_path / "sub-01_inputfunction.tsv"), units="kBq/mL")

    def test_an_unknown_unit_is_refused_when_options_are_read(self) -> None:
        with pytest.raises(ConfigurationError, match="is not a known unit of time"):
            METHODS["from-file"].parse({"path": "a_inputfunction.tsv", "time_unit": "furlong"})

    @pytest.mark.parametrize("wrong", [1e-3, 1e3])
    def test_plasma_in_another_unit_than_whole_blood_is_refused(self, tmp_path: Path, wrong: float) -> None:
        columns = {"t": TIME, "wb": whole_blood(TIME), "cp": wrong * plasma(TIME)}
        options = {"columns": {"time": "t", "whole_blood": "wb", "plasma": "cp"}, "units": "Bq/mL", "time_unit": "s"}
        with pytest.raises(UnitError, match=r"times whole blood \(median\); check the units"):
            read(write(tmp_path / "a.tsv", text(**columns)), decay_corrected_to="injection", **options)

    def test_parent_in_another_unit_than_whole_blood_is_refused(self, tmp_path: Path) -> None:
        columns = {"t": TIME, "wb": whole_blood(TIME), "cp": parent(TIME) / 60}
        options = {"columns": {"time": "t", "whole_blood": "wb", "parent": "cp"}, "units": "Bq/mL", "time_unit": "s"}
        with pytest.raises(UnitError, match=r"at the peak of whole blood, 30 s .*, parent plasma is 0\.02"):
            read(write(tmp_path / "a.tsv", text(**columns)), decay_corrected_to="injection", **options)

    def test_parent_above_total_plasma_is_told(self, tmp_path: Path) -> None:
        columns = {"t": TIME, "cp": plasma(TIME), "aif": 1.2 * plasma(TIME)}
        options = {"columns": {"time": "t", "plasma": "cp", "parent": "aif"}, "units": "Bq/mL", "time_unit": "s"}
        curve = read(write(tmp_path / "a.tsv", text(**columns)), decay_corrected_to="injection", **options)
        assert "parent plasma is 1.2 times total plasma (median), of which it is a part" in " ".join(curve.warnings)

    def test_percent_is_refused_unless_stated(self, tmp_path: Path) -> None:
        cp = pmod(tmp_path / "cp.bld", "plasma[kBq/cc]", plasma(TIME) / 1e3)
        bare = pmod(tmp_path / "pf.bld", "parent-fraction", 100 * fraction(TIME))
        with pytest.raises(BloodError, match="They look like percent"):
            read(cp, bare, decay_corrected_to="injection")
        stated = pmod(tmp_path / "pf.bld", "parent-fraction[%]", 100 * fraction(TIME))
        found = read(cp, stated, decay_corrected_to="injection")
        np.testing.assert_allclose(np.interp(TIME, found.time, found.plasma), parent(TIME), rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no rows"),
        ("time\tAIF\n", "holds no rows"),
        ("time\tAIF\n0\t1\n2\n", "line 3 has 1 cells, the header 2"),
        ("time\tAIF\n0\t1,5\n", r"'1,5' in column 'AIF', line 2, is not a number"),
        ("time\tAIF\tAIF\n0\t1\t1\n", "column 3 is a duplicate of column 2"),
        ("start\tend\tAIF\n0\t1\t1\n", "averages over frames don't make an input function"),
        ("time\tAIF\n0\tinf\n1\t2\n", "infinite"),
        ("time\tAIF\n0\t-5\n1\t2\n3\t4\n", "negative"),
        ("time\tAIF\n" + "".join(f"{t}\t0\n" for t in range(9)), "no usable sample"),
        ("time\tAIF\n5\t1\n4\t2\n3\t3\n2\t4\n1\t5\n", "out of order in time"),
        ("time\tAIF\n0\t0\n36000\t1\n36100\t1\n36200\t2\n36300\t1\n36400\t1\n", "samples lie within the scan"),
        ("time\tvalue\n0\t1\n", "no column holds whole blood, plasma or parent plasma"),
    ],
)
def test_a_faulty_file_is_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    path = write(tmp_path / "sub-01_inputfunction.tsv", content)
    with pytest.raises(InputError, match=message) as fault:
        read(path, units="Bq/mL", time_unit="s")
    assert str(path) in str(fault.value)
    assert fault.value.hint


def test_two_files_of_one_quantity_are_refused(tmp_path: Path) -> None:
    paths = [pmod(tmp_path / f"{name}.bld", "plasma[kBq/cc]", plasma(TIME)) for name in ("a", "b")]
    with pytest.raises(BloodError, match="two files hold plasma"):
        read(*paths, decay_corrected_to="injection")


def test_a_pattern_matches_one_file(tmp_path: Path) -> None:
    pattern = tmp_path / "*_inputfunction.tsv"
    with pytest.raises(MissingInputError, match="no such file"):
        read(pattern)
    bloodstream(tmp_path / "sub-01_inputfunction.tsv")
    assert_true(read(pattern))
    bloodstream(tmp_path / "sub-02_inputfunction.tsv")
    with pytest.raises(BloodError, match=r"2 files match, one is needed: .*sub-01.*sub-02"):
        read(pattern)


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "a_inputfunction.tsv"
    os.mkfifo(pipe)
    with pytest.raises(MissingInputError, match="no such file"):
        read(pipe)
    large = tmp_path / "b_inputfunction.tsv"
    with large.open("wb") as stream:
        stream.truncate(10**9)
    with pytest.raises(InputError, match="1000 MB"):
        read(large)
    bloodstream(tmp_path / "c_inputfunction.tsv", sidecar=False)
    (tmp_path / "c_inputfunction.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="not valid JSON"):
        read(tmp_path / "c_inputfunction.tsv")
    with pytest.raises(ConfigurationError, match="Protocol not known"):
        estimate("from-file", scan(), (), METHODS["from-file"].parse({"path": "htp://a_inputfunction.tsv"}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": []}, "give the file"),
        ({"path": "a.tsv"}, "state the `format`"),
        ({"path": "a.tsv", "columns": {"time": "t"}}, "need `time` and one of whole_blood, plasma and parent"),
        ({"path": "a.crv"}, "state `decay_corrected_to`"),
        ({"path": "{subjet}_inputfunction.tsv"}, r"\{subjet\} stands for nothing"),
        ({"path": "a_inputfunction.tsv", "colums": {}}, "Did you mean 'columns'"),
        ({"path": 3}, "a text belongs here"),
    ],
)
def test_options_that_say_too_little_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        METHODS["from-file"].parse(options)


@pytest.mark.parametrize("kind", ["bloodstream", "table"])
def test_a_fit_with_the_curve_of_a_file_gives_the_known_rates(tmp_path: Path, kind: str) -> None:
    timing = schedule((12, 10), (6, 30), (10, 120), (12, 300))
    rates = {"K1": 0.1, "k2": 0.2, "k3": 0.06, "vB": 0.04}
    time = np.append(TIME, np.arange(END + 100, timing.end[-1] + 1, 100))
    truth = InputFunction(time, whole_blood(time), parent(time), method="truth")
    tissue = ode_curve(timing, truth, rates)
    of = DynamicScan(timing, MC1, RegionCurves(("a",), tissue[None], np.ones(1)))
    if kind == "bloodstream":
        curve = read(bloodstream(tmp_path / "sub-01_inputfunction.tsv", time), of=of)
    else:
        curve = read(table(tmp_path / "a.csv", time), of=of, **TABLE)
    fit = fit_regions(of, curve, FitSettings("2tcm-irreversible"))
    assert float(fit["Ki"][0]) == pytest.approx(0.1 * 0.06 / 0.26, rel=1e-4)
    assert float(fit["vB"][0]) == pytest.approx(0.04, rel=1e-3)
