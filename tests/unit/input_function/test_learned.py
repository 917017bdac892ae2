"""The method ``learned`` on a simulated scan, with a network that finds the tissues as they are."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.errors import InputError, OutOfScopeError
from dlif_core.input_function import METHODS, estimate, learned
from dlif_core.input_function.learned import LearnedOptions
from dlif_core.kinetics import FitSettings, fit_regions
from dlif_core.networks.calibration.calibration import Calibration
from dlif_core.networks.calibration.error_scale import FEATURES, PARTS, ErrorScale
from dlif_core.networks.prediction.subject import MOUSE
from dlif_core.networks.prediction.tissues import TISSUES, tissue_parts
from dlif_core.networks.prediction.weight_map import Segmentation, TissueNetwork
from dlif_core.networks.scope import band
from dlif_core.networks.scope.verdict import Verdict
from dlif_core.phantom import Population, draw, simulate, simulate_coarse

NODES = 33


class TrueTissues(TissueNetwork):
    """Finds the true tissues, whatever it sees."""

    def __init__(self, tissues):
        super().__init__((4, 4, 4))
        self.tissues = tissues

    def forward(self, features):
        assert features.image.shape[1:] == self.tissues.shape[1:]
        return Segmentation(self.tissues, torch.ones(self.tissues.shape[1:]), torch.zeros(()))


@pytest.fixture(scope="module")
def drawn():
    return draw(4, Population("test", 9))


@pytest.fixture(scope="module")
def simulated(drawn):
    return simulate(*drawn)


@pytest.fixture(scope="module")
def model(drawn):
    """Errors of about 3 % of the curve, all of it common to the whole curve."""
    tissues = tissue_parts(simulate_coarse(*drawn, noise=False).weights)
    shares = np.where(np.array(PARTS) == "curve", 0.03**2, 0.0) + np.where(np.array(PARTS) == "floor", 1.0, 0.0)
    calibration = Calibration(
        scale=ErrorScale(shares, np.zeros(len(FEATURES)), np.zeros(len(FEATURES))),
        factors=np.ones((1, NODES)),
        own=np.zeros(NODES),
        inflation=1.0,
        scores=dict.fromkeys(("band", "auc", "peak", "Ki brain"), np.linspace(0.1, 2.0, 40)),
        population="assumed",
    )
    scope = SimpleNamespace(check=lambda *seen: Verdict(), check_band=lambda curve: Verdict())
    return SimpleNamespace(
        name="truth",
        digest="0" * 64,
        networks=(TrueTissues(tissues),),
        calibration=calibration,
        scope=scope,
        subject=MOUSE,
    )


@pytest.fixture(autouse=True)
def use(model, monkeypatch):
    """Load this model, or one that differs from it."""

    def chosen(**changed):
        now = SimpleNamespace(**{**vars(model), **changed})
        monkeypatch.setattr("dlif_core.networks.bundle.model.load_model", lambda name: now)

    chosen()
    return chosen


@pytest.fixture(scope="module")
def found(simulated, model):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlif_core.networks.bundle.model.load_model", lambda name: model)
        return estimate("learned", simulated.scan, (), LearnedOptions(samples=32))


def judged(verdict):
    return SimpleNamespace(check=lambda *seen: verdict, check_band=lambda curve: Verdict())


class TestCurve:
    def test_is_the_blood_of_the_animal(self, found, simulated):
        """In Bq/mL, on the scale of dose and weight, plasma by the ratio of FDG in mice."""
        scan, truth = simulated.scan, simulated.truth.input_function
        suv = scan.acquisition.suv_factor
        own, true = (suv * curve.frame_average(scan.timing)[0] for curve in (found, truth))
        assert np.sqrt(np.mean((own - true) ** 2)) < 0.4
        assert found.whole_blood.max() == pytest.approx(truth.whole_blood.max(), rel=0.1)
        ratio = found.plasma[found.whole_blood > 0] / found.whole_blood[found.whole_blood > 0]
        assert ratio[-1] == pytest.approx(1.165, abs=0.01)
        assert (found.method, found.warnings) == ("learned", ())

    def test_band_and_samples_surround_it(self, found):
        assert (found.lower <= found.whole_blood).all()
        assert (found.whole_blood <= found.upper).all()
        assert found.samples.shape == (32, len(found.time))
        late = found.time > 600
        spread = found.samples[:, late].std(axis=0) / found.whole_blood[late]
        assert 0.02 < np.median(spread) < 0.1

    def test_samples_reach_the_kinetics(self, found, simulated):
        """Errors common to the whole curve make Ki uncertain by as much, relative to itself."""
        scan = simulated.scan
        fits = fit_regions(scan, found, FitSettings("patlak", t_star=10.0)).sel(region="brain")
        relative = float(fits["Ki_input_se"] / fits["Ki"])
        area = np.trapezoid(found.samples, found.time, axis=1)
        assert relative == pytest.approx(area.std() / area.mean(), rel=0.6)

    def test_provenance_tells_model_verdict_and_frames(self, found, simulated):
        kept = found.provenance
        assert kept["model"] == {"name": "truth", "digest": "0" * 64}
        assert kept["scope"] == {"state": "in scope", "reasons": [], "score": 0.0}
        assert len(kept["frame averages [SUV]"]) == len(simulated.scan.timing)
        assert 0.0 < kept["mean width of the band over the mean of the curve"] < 1.0
        low, high = kept["intervals"]["auc"]
        suv = simulated.scan.acquisition.suv_factor
        assert low < suv * np.trapezoid(found.whole_blood, found.time) / 60 < high
        assert type(found).from_dataset(found.to_dataset()).provenance == kept


class TestScope:
    def test_out_of_scope_is_not_fitted(self, simulated, use):
        use(scope=judged(Verdict("out of scope", ("the tissues look strange.",), 2.0)))
        with pytest.raises(OutOfScopeError, match="the tissues look strange"):
            estimate("learned", simulated.scan, ())

    def test_blood_is_read_whatever_the_tracer_and_plasma_is_said_to_be_unknown(self, simulated):
        scan = replace(simulated.scan, acquisition=replace(simulated.scan.acquisition, tracer="[18F]FLT"))
        curve, fdg = estimate("learned", scan, ()), estimate("learned", simulated.scan, ())
        np.testing.assert_allclose(curve.whole_blood, fdg.whole_blood)
        np.testing.assert_allclose(curve.plasma, curve.whole_blood)
        assert any("plasma is taken as whole blood" in warning for warning in curve.warnings)
        assert any("metabolites included" in warning for warning in curve.warnings)
        assert curve.with_metabolites
        assert not any("FDG" in reason for reason in curve.provenance["scope"]["reasons"])

    def test_plasma_is_whole_blood_times_ratio_times_parent_fraction(self, simulated):
        sampled = np.array([30.0, 300.0, 900.0, 2400.0])
        fraction, ratio = np.array([0.95, 0.7, 0.5, 0.3]), np.array([1.0, 1.1, 1.2, 1.3])
        blood = BloodRecording(
            "manual", True, sampled, np.full(4, 1e4), 1e4 * ratio, fraction, source="sub-1_blood.tsv"
        )
        scan = replace(simulated.scan, acquisition=replace(simulated.scan.acquisition, tracer="FDOPA"))
        curve = estimate("learned", scan, [blood], LearnedOptions(parent_fraction="interpolation", samples=32))
        bare = estimate("learned", scan, (), LearnedOptions(samples=32))
        for name in ("whole_blood", "lower", "upper", "samples"):
            np.testing.assert_array_equal(getattr(curve, name), getattr(bare, name))
        factor = np.interp(curve.time, sampled, ratio) * np.interp(curve.time, [0, *sampled], [1, *fraction])
        np.testing.assert_allclose(curve.plasma, curve.whole_blood * factor, rtol=1e-12)
        for name in ("plasma to whole blood", "parent fraction"):
            assert curve.provenance[name]["source"] == "sub-1_blood.tsv"
        assert not any("plasma" in warning for warning in curve.warnings)

    def test_wrong_units_are_refused_before_the_networks_run(self, simulated, use):
        use(networks=())
        with pytest.raises(OutOfScopeError, match="unit"):
            estimate("learned", replace(simulated.scan, activity=1000 * simulated.scan.activity), ())

    def test_doubt_is_a_warning(self, simulated, use):
        use(scope=judged(Verdict("doubtful", ("the noise is high.",), 1.2)))
        curve = estimate("learned", simulated.scan, ())
        assert curve.warnings == ("the scan is doubtful for the learned input function: the noise is high.",)
        assert curve.provenance["scope"]["state"] == "doubtful"


class TestOtherTracers:
    def test_intervals_of_ki_are_left_out_with_the_reason(self, simulated):
        scan = replace(simulated.scan, acquisition=replace(simulated.scan.acquisition, tracer="[18F]FLT"))
        kept = estimate("learned", scan, ()).provenance
        assert set(kept["intervals"]) == {"auc", "peak"}
        assert "calibrated on FDG" in kept["intervals left out"]["Ki brain"]

    def test_those_of_a_tissue_that_is_not_in_view_are_left_out(self, model, simulated):
        prediction, _ = learned._predicted(simulated.scan, model)
        curve = model.calibration.curve(prediction, 2)
        assert "Ki brain" in learned._intervals(curve, "FDG", prediction)["intervals"]
        seen = torch.as_tensor(prediction.tissues).clone()
        seen[TISSUES.index("brain")] = 0.0
        kept = learned._intervals(curve, "FDG", SimpleNamespace(tissues=seen))
        assert set(kept["intervals"]) == {"auc", "peak"}
        assert kept["intervals left out"] == {"Ki brain": "no brain was found in the image."}

    @pytest.mark.parametrize("tracer", ["[18F]FDG", ""])
    def test_they_are_kept_where_no_other_tracer_is_stated(self, simulated, tracer):
        scan = replace(simulated.scan, acquisition=replace(simulated.scan.acquisition, tracer=tracer))
        kept = estimate("learned", scan, ()).provenance
        assert "Ki brain" in kept["intervals"]
        assert "intervals left out" not in kept


class TestBand:
    def test_a_band_that_is_too_wide_is_a_doubt_with_numbers(self, simulated, use, model):
        def check_band(curve):
            return band.check_band(curve, 0.05)

        use(scope=SimpleNamespace(check=model.scope.check, check_band=check_band))
        curve = estimate("learned", simulated.scan, ())
        assert curve.provenance["scope"]["state"] == "doubtful"
        assert "times the mean of the curve" in curve.warnings[0]


class TestSmallCalibration:
    def test_no_band_is_said(self, simulated, use, model):
        use(calibration=replace(model.calibration, scores={"band": np.arange(5.0)}))
        curve = estimate("learned", simulated.scan, ())
        assert curve.lower is None
        assert curve.provenance["intervals"] == {}
        assert "5 calibration scans are too few" in curve.warnings[0]


def test_errors_and_registry():
    assert issubclass(OutOfScopeError, InputError)
    assert METHODS["learned"].title == "Learned"
