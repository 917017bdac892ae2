"""Ensembles: the mean of the members, and the noise of the mean curve against repeated noise."""

import numpy as np
import pytest
import torch

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.networks.prediction.correction import corrected_curve
from dlif_core.networks.prediction.ensemble import EnsemblePrediction, curve_noise, predict_ensemble
from dlif_core.networks.prediction.predict import Prediction, predict
from dlif_core.networks.prediction.resampling import displaced
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.tissues import ARTERIAL, VENOUS, tissue_parts
from dlif_core.networks.prediction.unmixing import noise_confidence, unmix
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.phantom import HELD_OUT, draw, simulate_coarse
from dlif_core.phantom.noise import add_averaged_noise

CHEST = slice(12, 36)


@pytest.fixture(scope="module")
def scan():
    return simulate_coarse(*draw(5, HELD_OUT))


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(1)
    return [TissueNetwork((4, 6, 8)).eval() for _ in range(2)]


def inputs(scan):
    return NetworkScan(scan.activity[:, CHEST], scan.protocol.timing, scan.mouse.body_weight)


class TestEnsemble:
    def test_one_network_predicts_as_it_does_alone(self, scan, networks):
        alone = predict(networks[0], inputs(scan))
        ensemble = predict_ensemble(networks[:1], inputs(scan))
        np.testing.assert_allclose(ensemble.whole_blood, alone.whole_blood.double(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(ensemble.frame_weights, alone.frame_weights)
        assert (ensemble.spread == 0).all()

    def test_mean_curve_is_the_mean_of_the_weights_times_the_image(self, scan, networks):
        ensemble = predict_ensemble(networks, inputs(scan))
        aligned = displaced(scan.activity[:, CHEST], ensemble.displacement)
        weights = torch.stack([member.frame_weights for member in ensemble.members]).double()
        read = torch.einsum("mfzyx,fzyx->mf", weights, aligned.double())
        by_hand = corrected_curve(read, torch.ones_like(read)).mean(dim=0)
        np.testing.assert_allclose(ensemble.whole_blood, by_hand, atol=1e-3)
        first, second = (member.whole_blood.double().numpy() for member in ensemble.members)
        np.testing.assert_allclose(ensemble.spread, np.abs(first - second) / np.sqrt(2))
        assert ensemble.tissues.shape == ensemble.members[0].tissues.shape

    def test_refuses_what_it_cannot_use(self, scan, networks):
        with pytest.raises(ConfigurationError, match="without networks"):
            predict_ensemble([], inputs(scan))
        with pytest.raises(InputError, match="3 frames"):
            predict_ensemble(networks, inputs(scan).with_frames(slice(3)))


class TestNoise:
    def test_closed_form_agrees_with_repeated_noise(self):
        """Twenty-five times the same scan with other noise, read off with the same weights."""
        seed = 5
        mouse, grid, protocol = draw(seed, HELD_OUT)
        clean = simulate_coarse(mouse, grid, protocol, noise=False)
        tissues = tissue_parts(clean.weights)
        displacement = torch.tensor(protocol.motion, dtype=torch.float32)
        generator = torch.Generator().manual_seed(seed)

        def noisy():
            image = clean.activity.clone()
            add_averaged_noise(image, grid, clean.grid, protocol, mouse.noise_level, generator)
            return displaced(image, displacement)

        aligned = noisy()
        unmixed = unmix(aligned, tissues, noise_confidence(aligned, torch.tensor(protocol.timing.duration)))
        curves, factor = unmixed.curves, torch.ones(len(aligned))
        maps = unmixed.weight_map[[ARTERIAL, VENOUS]]
        shares = torch.tensor([[0.4], [0.6]]).expand(-1, len(aligned))
        blood = (shares * curves[[ARTERIAL, VENOUS]]).sum(dim=0)
        member = Prediction(blood, maps, shares, displacement, tissues, curves, factor, torch.zeros(()))
        prediction = EnsemblePrediction(protocol.timing, mouse.body_weight, (member,), np.zeros(len(aligned)))
        found = curve_noise(prediction, aligned)
        repeated = torch.stack([(member.frame_weights * noisy()).sum(dim=(1, 2, 3)) for _ in range(25)])
        expected = repeated.std(dim=0).numpy()
        shown, short = clean.whole_blood > 0.2, protocol.timing.duration <= 20.0
        ratio = found[shown] / expected[shown]
        assert np.median(ratio[short[shown]]) == pytest.approx(1.0, abs=0.15)
        assert np.percentile(ratio[short[shown]], [10, 90]) == pytest.approx(1.0, abs=0.35)
        # in long frames of a scan with little noise, what moves with the body counts as noise too
        assert 0.8 < np.median(ratio[~short[shown]]) < 2.0

    def test_empty_image_is_refused(self, scan, networks):
        once = predict_ensemble(networks[:1], inputs(scan))
        with pytest.raises(InputError, match="no activity"):
            curve_noise(once, torch.zeros_like(inputs(scan).activity))
