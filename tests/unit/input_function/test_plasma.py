"""Plasma of a curve that was read from an image: measured ratio and parent fraction, and what is told without them."""

import json

import numpy as np
import pytest

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.errors import BloodError, ConfigurationError, MissingInputError, UnitError
from dlif_core.input_function import METHODS, ScanPlace, deciding_facts, estimate
from dlif_core.input_function.plasma import ImageOptions, image_plasma
from dlif_core.phantom import Population, draw, simulate
from dlif_core.scan import Acquisition

TIME = np.linspace(0.0, 3600.0, 721)
FDOPA = Acquisition(tracer="FDOPA", half_life=6586.2, species="mouse")
SAMPLED = np.array([60.0, 300.0, 600.0, 1200.0, 2400.0, 3500.0])
FRACTION = 1 - 0.8 * SAMPLED / (SAMPLED + 900.0)
IMAGE_METHODS = [name for name, method in METHODS.items() if issubclass(method.options, ImageOptions)]


def samples(arterial=True, **columns):
    return BloodRecording("manual", arterial, SAMPLED, source="sub-1_blood.tsv", **columns)


def plasma_of(recordings=(), acquisition=FDOPA, **options):
    return image_plasma(TIME, acquisition, recordings, ImageOptions(**options))


@pytest.fixture(scope="module")
def mouse_scan():
    return simulate(*draw(4, Population("test", 9))).scan


def test_all_methods_that_read_an_image_take_plasma():
    assert set(IMAGE_METHODS) == set(METHODS) - {"arterial", "from-file"}


class TestOwnSamples:
    def test_parent_fractions_alone_are_enough(self):
        found = plasma_of([samples(parent_fraction=FRACTION)], parent_fraction="interpolation")
        np.testing.assert_allclose(found.parent, np.interp(TIME, [0, *SAMPLED], [1, *FRACTION]))
        np.testing.assert_array_equal(found.ratio, 1.0)
        np.testing.assert_array_equal(found.factor, found.parent)
        assert found.provenance["parent fraction"]["source"] == "sub-1_blood.tsv"
        assert found.warnings == ("plasma is taken as whole blood: their ratio was not measured.",)
        assert not found.with_metabolites

    def test_the_ratio_is_that_of_the_samples(self):
        blood = samples(whole_blood=np.full(6, 2e4), plasma=np.linspace(2e4, 3e4, 6))
        found = plasma_of([blood])
        np.testing.assert_allclose(found.ratio, np.interp(TIME, SAMPLED, np.linspace(1.0, 1.5, 6)))
        assert found.provenance["plasma to whole blood"]["source"] == "sub-1_blood.tsv"
        (warning,) = found.warnings
        assert warning == (
            "no parent fraction was measured; the parent plasma curve is total plasma, metabolites included."
        )
        assert found.with_metabolites
        constant = plasma_of([blood], plasma_ratio="constant")
        np.testing.assert_allclose(constant.ratio, 1.25)

    def test_a_measured_ratio_replaces_the_formula_of_mice(self):
        blood = samples(whole_blood=np.full(6, 2e4), plasma=np.full(6, 1.8e4))
        fdg = Acquisition(tracer="FDG", half_life=6586.2, species="mouse")
        np.testing.assert_allclose(plasma_of([blood], fdg).factor, 0.9)
        assert plasma_of([blood], fdg).warnings == ()
        assert not plasma_of([], fdg).with_metabolites
        assert plasma_of([], fdg).ratio[0] == pytest.approx(0.386 + 1.165)

    def test_venous_samples_serve_where_there_are_no_arterial_ones(self):
        venous, arterial = samples(arterial=False, parent_fraction=FRACTION / 2), samples(parent_fraction=FRACTION)
        alone = plasma_of([venous], parent_fraction="interpolation")
        assert alone.parent[-1] == pytest.approx(FRACTION[-1] / 2)
        assert "plasma was measured in venous samples (manual)." in alone.warnings
        assert plasma_of([venous, arterial], parent_fraction="interpolation").parent[-1] == pytest.approx(FRACTION[-1])

    def test_a_ratio_is_not_mixed_of_arterial_and_venous_samples(self):
        flat = np.full(6, 2e4)
        arterial, venous = samples(whole_blood=flat), samples(arterial=False, whole_blood=2 * flat, plasma=2.2 * flat)
        np.testing.assert_allclose(plasma_of([arterial, venous]).ratio, 1.1)
        np.testing.assert_allclose(plasma_of([arterial, samples(arterial=False, plasma=flat)]).ratio, 1.0)

    def test_without_blood_both_are_said_to_be_missing(self):
        found = plasma_of()
        np.testing.assert_array_equal(found.factor, 1.0)
        assert len(found.warnings) == 2
        assert found.provenance["plasma to whole blood"] == {"from": "assumed equal to 1"}
        assert found.provenance["parent fraction"] == {"model": None}

    @pytest.mark.parametrize(
        ("fractions", "why"),
        [
            (100 * FRACTION, "percent"),
            (2 * FRACTION, "not from 0 to 1"),
            (np.where(SAMPLED == 600, 0.5, np.nan), "1 parent-fraction samples can't determine"),
        ],
    )
    def test_fractions_are_refused_as_for_an_arterial_curve(self, fractions, why):
        with pytest.raises(BloodError, match=why):
            plasma_of([samples(parent_fraction=fractions)])

    @pytest.mark.parametrize(
        ("seconds", "said"),
        [
            (SAMPLED / 60.0, "of 0.972 min, the curve ends at 60 min"),
            (SAMPLED * 60.0, "5 of 6 parent fractions are later"),
        ],
    )
    def test_times_in_another_unit_are_doubted(self, seconds, said):
        blood = BloodRecording("manual", True, seconds, source="sub-1_blood.tsv", parent_fraction=FRACTION)
        found = plasma_of([blood], parent_fraction="interpolation")
        assert any(said in warning and "time's unit" in warning for warning in found.warnings)

    def test_metabolites_of_fdg_are_doubted(self):
        found = plasma_of([samples(parent_fraction=FRACTION)], Acquisition(tracer="FDG", half_life=6586.2))
        assert any("applied to FDG, which has no metabolites" in warning for warning in found.warnings)

    def test_samples_beyond_the_scan_count(self):
        late = BloodRecording("manual", True, SAMPLED * 2, parent_fraction=FRACTION, source="b")
        found = plasma_of([late], parent_fraction="interpolation")
        np.testing.assert_allclose(found.parent, np.interp(TIME, [0, *SAMPLED * 2], [1, *FRACTION]))

    def test_faulty_activities_are_told_and_not_used(self):
        blood = samples(whole_blood=np.full(6, 2e4), plasma=np.array([1e4, 1e4, -1e4, 1e4, 1e4, 1e4]))
        found = plasma_of([blood])
        np.testing.assert_array_equal(found.factor, 1.0)
        assert any(warning.startswith("plasma samples are not used: plasma is negative") for warning in found.warnings)

    def test_a_file_that_could_not_be_read_is_left_to_the_arterial_curve(self):
        refused = BloodRecording("manual", True, np.empty(0), source="b", refused="no unit.")
        np.testing.assert_array_equal(plasma_of([refused]).factor, 1.0)


@pytest.fixture
def table(tmp_path):
    rows = "\n".join(f"{time / 60:g}\t{fraction:.6f}" for time, fraction in zip(SAMPLED, FRACTION, strict=True))
    path = tmp_path / "parent.tsv"
    path.write_text(f"time [min]\tfraction\n{rows}\n", encoding="utf-8")
    return path


def named(path, **columns):
    return {"path": str(path), "columns": {"time": "time", **columns}}


class TestFile:
    def test_one_table_serves_all_scans(self, table):
        options = ImageOptions(plasma=named(table, parent_fraction="fraction"), parent_fraction="interpolation")
        of_scan = options.of_scan(ScanPlace(str(table.parent), "sub-1", "sub-1"))
        found = image_plasma(TIME, FDOPA, (), of_scan)
        np.testing.assert_allclose(found.parent, np.interp(TIME, [0, *SAMPLED], [1, *FRACTION]), atol=1e-6)
        assert found.provenance["parent fraction"]["source"] == str(table)

    def test_the_hill_model_is_fitted(self, table):
        found = plasma_of(plasma=named(table, parent_fraction="fraction"))
        np.testing.assert_allclose(found.parent, 1 - 0.8 * TIME / (TIME + 900.0), atol=1e-3)

    def test_own_samples_come_first(self, table):
        own = samples(parent_fraction=FRACTION / 2)
        found = plasma_of([own], plasma=named(table, parent_fraction="fraction"), parent_fraction="interpolation")
        assert found.parent[-1] == pytest.approx(FRACTION[-1] / 2)

    def test_a_table_of_each_scan_has_to_name_it(self, table):
        options = ImageOptions(plasma=named(table.parent / "{subject}.tsv", parent_fraction="fraction"))
        with pytest.raises(MissingInputError, match="no such file") as fault:
            image_plasma(TIME, FDOPA, (), options.of_scan(ScanPlace(str(table.parent), "sub-1", "sub-1")))
        assert "`path` of plasma" in fault.value.hint

    @pytest.mark.parametrize(
        ("text", "columns"),
        [
            ("time,f\n60,0.9\n600,0.6\n1200,0.4\n", {"parent_fraction": "f"}),
            ("time [s],b,p\n60,10,11\n600,10,13\n", {"whole_blood": "b", "plasma": "p"}),
            ("time [s],f\n60,0.9\n600,0.6\n", {"parent_fraction": "g"}),
        ],
    )
    def test_hints_name_the_option_that_the_user_wrote(self, tmp_path, text, columns):
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        with pytest.raises((BloodError, UnitError)) as fault:
            plasma_of(plasma=named(tmp_path / "a.csv", **columns))
        assert "of plasma" in fault.value.hint
        assert "from-file" not in fault.value.hint

    def test_plasma_fraction_and_activities_give_the_ratio(self, tmp_path):
        (tmp_path / "a.csv").write_text("time [s],r\n60,1.1\n600,1.3\n", encoding="utf-8")
        found = plasma_of(plasma=named(tmp_path / "a.csv", plasma_fraction="r"))
        np.testing.assert_allclose(found.ratio, np.interp(TIME, [60, 600], [1.1, 1.3]))
        (tmp_path / "b.csv").write_text("time [s],b [kBq/mL],p [kBq/mL]\n60,10,11\n600,10,13\n", encoding="utf-8")
        both = plasma_of(plasma=named(tmp_path / "b.csv", whole_blood="b", plasma="p"))
        np.testing.assert_allclose(both.ratio, found.ratio)

    def test_percent_and_impossible_ratios_are_refused(self, tmp_path):
        (tmp_path / "a.csv").write_text("time [s],f\n60,95\n600,60\n1200,40\n", encoding="utf-8")
        with pytest.raises(BloodError, match="percent"):
            plasma_of(plasma=named(tmp_path / "a.csv", parent_fraction="f"))
        (tmp_path / "a.csv").write_text("time [s],f [%]\n60,95\n600,60\n1200,40\n", encoding="utf-8")
        found = plasma_of(plasma=named(tmp_path / "a.csv", parent_fraction="f"), parent_fraction="interpolation")
        assert found.parent[-1] == pytest.approx(0.4)
        (tmp_path / "a.csv").write_text("time [s],r\n60,11\n600,13\n", encoding="utf-8")
        with pytest.raises(UnitError, match="times whole blood"):
            plasma_of(plasma=named(tmp_path / "a.csv", plasma_fraction="r"))

    def test_plasma_without_whole_blood_is_refused(self, tmp_path):
        (tmp_path / "a.csv").write_text("time [s],p [Bq/mL]\n60,10\n600,13\n", encoding="utf-8")
        with pytest.raises(BloodError, match="plasma alone"):
            plasma_of(plasma=named(tmp_path / "a.csv", plasma="p"))

    def test_columns_have_to_be_named(self, table):
        with pytest.raises(ConfigurationError, match="parent_fraction"):
            METHODS["learned"].parse({"plasma": {"path": str(table), "columns": {"time": "time"}}})

    def test_the_content_decides_the_curve_and_the_path_does_not(self, table, tmp_path):
        def of(path):
            return METHODS["hybrid"].parse({"plasma": named(path, parent_fraction="fraction")})

        before = deciding_facts("hybrid", of(table))
        assert list(before) == [f"file {tmp_path.name}/parent.tsv"]
        assert json.dumps(of(table).deciding_settings()) == json.dumps(of(tmp_path / "b.tsv").deciding_settings())
        table.write_text(table.read_text().replace("time [min]", "time [s]"), encoding="utf-8")
        assert deciding_facts("hybrid", of(table)) != before

    def test_a_relative_path_counts_from_the_study(self, table):
        options = METHODS["learned"].parse({"plasma": named("parent.tsv", parent_fraction="fraction")})
        assert options.relative_to(str(table.parent)).plasma.path == (str(table),)


@pytest.mark.parametrize("method", ["image-derived", "factor-analysis", "hybrid", "population", "simultaneous"])
def test_plasma_is_the_exact_product(method, mouse_scan):
    fraction = 1 - 0.6 * SAMPLED / (SAMPLED + 900.0)
    blood = samples(whole_blood=np.full(6, 2e4), plasma=np.full(6, 2.4e4), parent_fraction=fraction)
    options = METHODS[method].parse({"parent_fraction": "interpolation"})
    curve = estimate(method, mouse_scan, [blood], options)
    parent = np.interp(curve.time, [0, *SAMPLED], [1, *fraction])
    np.testing.assert_allclose(curve.plasma, curve.whole_blood * 1.2 * parent, rtol=1e-12)
    assert not any("taken as whole blood" in warning for warning in curve.warnings)
    assert curve.provenance["parent fraction"]["source"] == "sub-1_blood.tsv"
