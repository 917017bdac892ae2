"""Fits of regions from a notebook: known truth back, the same as the pipeline's, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import dlif_core as dlif
from dlif_core.errors import CurveError, DlifError, UnitError
from dlif_core.kinetics import fit_regions
from tests.unit.api.tables import BLOOD, REVERSIBLE, TRUTH, blood_table, curves, influx, tac_table, volume, write_tables
from tests.unit.kinetics.truth import F18, MOUSE

INFLUX = [influx(k) for k in TRUTH.values()]


def scan(**changes: object) -> dlif.PetScan:
    """The scan as arrays."""
    given = {"units": "Bq/mL", "names": list(TRUTH), "blood": BLOOD, "radionuclide": "F18"} | changes
    return dlif.from_arrays(list(curves().values()), MOUSE, **given)


class TestKnownTruth:
    def test_of_two_tables(self, folder: Path) -> None:
        found = dlif.fit(dlif.read_curves("tacs.tsv", blood="blood.tsv"), "2tcm-irreversible", delay="region")
        for name in ("K1", "k2", "k3", "vB"):
            np.testing.assert_allclose(found[name], [k[name] for k in TRUTH.values()], rtol=1e-5)
        np.testing.assert_allclose(found["Ki"], INFLUX, rtol=1e-6)
        np.testing.assert_allclose(found["delay"], 0, atol=1e-3)
        assert np.isfinite(found["K1_se"]).all()

    def test_of_a_reversible_tracer(self, tmp_path: Path) -> None:
        write_tables(tmp_path, REVERSIBLE)
        read = dlif.read_curves(tmp_path / "tacs.tsv", blood=tmp_path / "blood.tsv")
        found = dlif.fit(read, "2tcm-reversible")
        np.testing.assert_allclose(found["VT"], [volume(k) for k in REVERSIBLE.values()], rtol=1e-4)
        np.testing.assert_allclose(found["BPND"], [k["k3"] / k["k4"] for k in REVERSIBLE.values()], rtol=1e-4)

    def test_of_arrays(self) -> None:
        np.testing.assert_allclose(dlif.fit(scan(), "2tcm-irreversible")["Ki"], INFLUX, rtol=1e-6)

    def test_of_a_dynamic_scan(self) -> None:
        found = dlif.fit(scan().dynamic, "2tcm-irreversible", input_function=BLOOD)
        np.testing.assert_allclose(found["Ki"], INFLUX, rtol=1e-6)

    def test_of_a_pandas_table_that_states_all(self) -> None:
        table = tac_table()
        table.attrs = {"units": "kBq/mL", "half_life": F18, "tracer": "FDG"}
        found = dlif.fit(table, "2tcm-irreversible", input_function=BLOOD)
        np.testing.assert_allclose(found["Ki"], INFLUX, rtol=1e-6)

    def test_of_an_xarray_array_that_states_all(self) -> None:
        array = xr.DataArray(
            np.array(list(curves().values())).T,
            dims=("frame", "region"),
            coords={
                "region": list(TRUTH),
                "frame_start": ("frame", MOUSE.start),
                "frame_duration": ("frame", MOUSE.duration),
            },
            attrs={"units": "Bq/mL", "half_life": F18, "tracer": "FDG"},
        )
        found = dlif.fit(array, "2tcm-irreversible", input_function=BLOOD)
        np.testing.assert_allclose(found["Ki"], INFLUX, rtol=1e-6)
        assert found["region"].values.tolist() == list(TRUTH)


class TestResult:
    def test_is_that_of_a_study(self) -> None:
        found = dlif.fit(scan(), "logan", t_star=10)
        expected = fit_regions(scan().dynamic, BLOOD, dlif.FitSettings("logan", t_star=10))
        xr.testing.assert_identical(found.drop_attrs(), expected.drop_attrs())

    def test_has_units_and_names(self) -> None:
        found = dlif.fit(scan(), "patlak", t_star=10)
        assert found["Ki"].attrs["units"] == "mL cm-3 min-1"
        assert all(variable.attrs["units"] and variable.attrs["long_name"] for variable in found.data_vars.values())
        assert found.attrs["input_function"] == "simulated"

    def test_says_what_was_assumed(self, folder: Path) -> None:
        blood = blood_table().drop(columns="plasma_radioactivity")
        read = dlif.read_curves("tacs.tsv", blood=blood, blood_units="kBq/mL")
        with pytest.warns(dlif.DlifWarning, match="not both measured"):
            found = dlif.fit(read, "1tcm")
        assert any("not both measured" in warning for warning in found.attrs["warnings"])


class TestInputFunction:
    def test_of_a_method_is_estimated(self, folder: Path) -> None:
        read = dlif.read_curves("tacs.tsv", blood="blood.tsv")
        named, own = dlif.fit(read, "1tcm", input_function="arterial"), dlif.fit(read, "1tcm")
        xr.testing.assert_identical(named, own)

    def test_that_was_given_goes_before_the_scan_s_own(self) -> None:
        half = dlif.InputFunction(BLOOD.time, BLOOD.whole_blood / 2, BLOOD.plasma / 2, "half")
        found = dlif.fit(scan(), "patlak", t_star=10, input_function=half)
        np.testing.assert_allclose(found["Ki"], 2 * dlif.fit(scan(), "patlak", t_star=10)["Ki"])
        assert found.attrs["input_function"] == "half"

    def test_is_asked_for_where_there_is_none(self) -> None:
        with pytest.raises(dlif.InputError, match="no input function, and the scan has no blood") as caught:
            dlif.fit(scan(blood=None), "1tcm")
        assert "dlif.blood" in caught.value.hint

    def test_is_not_asked_for_where_none_is_needed(self) -> None:
        assert (dlif.fit(scan(blood=None), "srtm", reference="striatum")["status"] >= 0).all()

    @pytest.mark.parametrize(
        ("time", "values", "word"),
        [
            ([0.0, 60, 1200], [0.0, 9e4, 1e4], "it ends at 1200 s, before the scan, which ends at 2730 s"),
            ([300.0, 600, 2730], [9e4, 5e4, 1e4], "it begins at 300 s with 100% of its peak"),
            ([3000.0, 3600], [0.0, 5e4], "it starts at 3000 s, after the scan, which ends at 2730 s"),
        ],
    )
    def test_that_does_not_cover_the_scan_is_refused(self, time: list[float], values: list[float], word: str) -> None:
        short = dlif.InputFunction(time, values, values, "own")
        with pytest.raises(CurveError, match=word) as caught:
            dlif.fit(scan(), "logan", t_star=10, input_function=short)
        assert caught.value.hint

    def test_that_begins_late_is_refused_for_a_late_scan_too(self) -> None:
        late = MOUSE.start >= 1200
        timing = dlif.FrameTiming(MOUSE.start[late], MOUSE.duration[late])
        tissue = np.array(list(curves().values()))[:, late]
        given = dlif.from_arrays(tissue, timing, units="Bq/mL", radionuclide="F18")
        whole = dlif.fit(given, "patlak", t_star=20, input_function=BLOOD)
        np.testing.assert_allclose(whole["Ki"], INFLUX, rtol=0.08)
        kept = BLOOD.time > 900
        lost = dlif.InputFunction(BLOOD.time[kept], BLOOD.whole_blood[kept], BLOOD.plasma[kept], "own")
        with pytest.raises(CurveError, match="the rise before is missing"):
            dlif.fit(given, "patlak", t_star=20, input_function=lost)


class TestUnitsOfTissueAndBlood:
    @pytest.mark.parametrize("factor", [1e-3, 1e3])
    def test_that_differ_by_a_thousand_are_refused(self, factor: float) -> None:
        blood = dlif.InputFunction(BLOOD.time, factor * BLOOD.whole_blood, factor * BLOOD.plasma, "own")
        with pytest.raises(UnitError, match="times that of blood") as caught:
            dlif.fit(scan(blood=blood), "2tcm-irreversible")
        assert "kBq/mL against Bq/mL" in caught.value.hint

    @pytest.mark.parametrize("factor", [0.05, 20.0])
    def test_that_physiology_allows_are_not(self, factor: float) -> None:
        blood = dlif.InputFunction(BLOOD.time, BLOOD.whole_blood / factor, BLOOD.plasma / factor, "own")
        assert np.isfinite(dlif.fit(scan(blood=blood), "patlak", t_star=10)["Ki"]).all()


class TestSettings:
    def test_may_be_numpy(self) -> None:
        weights = np.ones(len(MOUSE))
        numpy = dlif.fit(scan(), "2tcm-irreversible", weights=weights, blood_volume=np.float64(0.05))
        plain = dlif.fit(scan(), "2tcm-irreversible", weights=tuple(weights.tolist()), blood_volume=0.05)
        xr.testing.assert_identical(numpy, plain)
        listed = dlif.fit(scan(), "1tcm", rates=[np.float32(0.25), 1.0], weights=[1.0] * len(MOUSE))
        xr.testing.assert_identical(listed, dlif.fit(scan(), "1tcm", rates=(0.25, 1.0), weights=(1.0,) * len(MOUSE)))

    @pytest.mark.parametrize("t_star", [np.int64(10), np.float32(10), "find"])
    def test_of_the_linear_phase(self, t_star: object) -> None:
        assert float(dlif.fit(scan(), "patlak", t_star=t_star).attrs["t_star"]) >= 0

    @pytest.mark.parametrize(
        ("model", "settings", "word"),
        [
            ("patlakk", {"t_star": 10}, "Did you mean 'patlak'"),
            ("patlak", {}, "t_star"),
            ("patlak", {"t_start": 10}, "Did you mean 't_star'"),
            (None, {}, "model"),
            (dlif.FitStatus, {}, "model"),
            ("1tcm", {"delay": "sometimes"}, "delay"),
            ("1tcm", {"weights": np.full(42, -1.0)}, "weights"),
            ("1tcm", {"weights": np.full(42, np.inf)}, "weights"),
            ("1tcm", {"weights": np.full(42, np.nan)}, "weights"),
            ("1tcm", {"weights": np.zeros(42)}, "weights"),
            ("1tcm", {"weights": np.ones(33)}, "33 weights|got 33"),
            ("1tcm", {"weights": 5}, "weights|settings"),
            ("1tcm", {"blood_volume": "much"}, "blood_volume|settings"),
            ("1tcm", {"rates": "all"}, "rates"),
            ("1tcm", {"rates": (1, 2, 3)}, "rates"),
            ("srtm", {"reference": "cerebellum"}, "no region 'cerebellum'"),
            ("patlak", {"t_star": 1e6}, "t_star"),
        ],
    )
    def test_that_are_not_possible_are_refused(self, model: str, settings: dict[str, object], word: str) -> None:
        with pytest.raises(DlifError, match=word):
            dlif.fit(scan(), model, **settings)


class TestComparison:
    def test_chooses_the_model_of_the_truth(self, folder: Path) -> None:
        read = dlif.read_curves("tacs.tsv", blood="blood.tsv")
        found = dlif.compare_models(read, ["1tcm", "2tcm-irreversible"], criterion="bic")
        assert found["model"][found["best_model"]].values.tolist() == ["2tcm-irreversible"] * 2
        assert (found["F_probability"] < 1e-6).all()

    @pytest.mark.parametrize("models", [[], ["1tcm"], "1tcm", None, ["1tcm", "1tcm"]])
    def test_needs_several_models(self, models: object) -> None:
        with pytest.raises(dlif.ConfigurationError, match="two or more"):
            dlif.compare_models(scan(), models)

    def test_needs_a_criterion(self) -> None:
        with pytest.raises(dlif.ConfigurationError, match="no criterion 'best'"):
            dlif.compare_models(scan(), ["1tcm", "2tcm-irreversible"], criterion="best")


@pytest.mark.parametrize("given", [None, 5, "tacs", pd.DataFrame(), np.ones(3), {}])
def test_what_is_no_scan_is_refused(given: object) -> None:
    with pytest.raises(dlif.InputError):
        dlif.fit(given, "1tcm")
