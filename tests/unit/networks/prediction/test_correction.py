"""The correction over time: what describes a scan, and that a known error of a network is taken off."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from dlif_core.compute.pool import open_mapper
from dlif_core.networks.prediction.arterial import read_arterial
from dlif_core.networks.prediction.correction import Correction
from dlif_core.networks.prediction.features import CONSTANTS, WINDOW_EDGES, WINDOWS, Features, features, frame_matrix
from dlif_core.networks.prediction.fit_quality import DESCRIPTION, OFFSET, FitDescription, Reading, describe
from dlif_core.networks.prediction.predict import predict
from dlif_core.networks.prediction.tissues import ARTERIAL, TISSUES
from dlif_core.networks.prediction.unmixing import noise_confidence, unmix
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.training.correction import correction_cases, with_corrections
from dlif_core.networks.training.examples import make_example
from dlif_core.phantom import TRAINING

ERROR = 1.3


@pytest.fixture(scope="module")
def examples():
    return [make_example(seed, TRAINING) for seed in range(40, 46)]


@pytest.fixture(scope="module")
def network():
    """Finds the same tissues everywhere: what it reads is the mean of the image times a factor."""
    network = TissueNetwork((4, 4, 4)).eval()
    torch.nn.init.zeros_(network.out.weight)
    return network


def read_too_low(network, example):
    """The example, were its blood such that the network reads it too low by a factor."""
    read = predict(network, example.scan).whole_blood
    return replace(example, whole_blood=ERROR * (read.clamp(min=0.0) + OFFSET) - OFFSET)


def described(network, example):
    seen = features(example.scan)
    found = network(seen)
    confidence = noise_confidence(example.scan.activity, example.scan.seconds)
    return describe(reading(example.scan.activity, seen, confidence, found.tissues))


def reading(activity, seen, confidence, tissues):
    unmixed = unmix(activity, tissues, confidence)
    arterial = read_arterial(activity, tissues, confidence, unmixed, seen.since)
    return Reading(activity, seen, confidence, tissues, unmixed, arterial)


BLOOD, MYOCARDIUM = ARTERIAL, TISSUES.index("myocardium")
CURVES = torch.ones(len(TISSUES), WINDOWS)
CURVES[BLOOD] = torch.linspace(8.0, 0.5, WINDOWS)
CURVES[MYOCARDIUM] = torch.linspace(1.0, 6.0, WINDOWS)


def heart(blood_size=False, blood_resolution=False, myocardium_size=False, myocardium_resolution=False):
    """A ball of blood within a ball of myocardium, edges blurred by a variance of 2 voxels²; shape (tissues, z, y, x).

    By the heat equation a further variance v changes an image by v/2 times its Laplacian.
    """
    fine = np.zeros((len(TISSUES), 24, 24, 24))
    fine[BLOOD] = ball(4.0 + 0.1 * blood_size, 2.0 + 0.2 * blood_resolution)
    fine[MYOCARDIUM] = 0.5 * ball(8.0 + 0.1 * myocardium_size, 2.0 + 0.2 * myocardium_resolution)
    return torch.from_numpy(fine).float()


def ball(radius, variance):
    """A ball at the centre of 24 voxels, blurred; sampled five times finer before it is averaged."""
    axis = (np.arange(120.0) + 0.5) / 5 - 12.0
    distance = np.sqrt(sum(one**2 for one in np.meshgrid(axis, axis, axis, indexing="ij")))
    blurred = gaussian_filter((distance < radius).astype(float), 5 * np.sqrt(variance))
    return blurred.reshape(24, 5, 24, 5, 24, 5).mean(axis=(1, 3, 5))


def read_of(shown, drawn):
    """A scan with a frame in each window whose tissues look otherwise than they are drawn."""
    activity = torch.einsum("kw,kzyx->wzyx", CURVES, shown)
    windows = torch.eye(WINDOWS)
    seen = Features(activity.sqrt(), torch.ones(CONSTANTS), windows, windows, torch.zeros(WINDOWS))
    return reading(activity, seen, torch.ones_like(activity[0]), drawn)


class TestFrameMatrix:
    def test_interpolates_between_measured_windows(self):
        measured = np.ones(WINDOWS, dtype=bool)
        measured[[0, 11]] = False
        values = np.random.default_rng(0).normal(size=WINDOWS)
        middle = np.array([-100.0, 0.0, 7.3, 333.0, 5000.0])
        edges = np.array(WINDOW_EDGES)
        expected = np.interp(middle, 0.5 * (edges[1:] + edges[:-1])[measured], values[measured])
        assert frame_matrix(middle, measured) @ values == pytest.approx(expected)


class TestDescription:
    @torch.no_grad()
    def test_missing_windows_are_not_known(self, examples, network):
        example = examples[0]
        frames = int((example.scan.timing.end <= 900.0).sum())
        whole = described(network, example)
        cut = described(network, replace(example, scan=example.scan.first(frames)))
        assert cut.known.sum() < whole.known.sum()
        assert torch.isfinite(cut.values).all()

    @pytest.mark.parametrize("change", ["size", "resolution"])
    @pytest.mark.parametrize("owner", ["blood", "myocardium"])
    def test_misfits_of_the_heart_are_found(self, change, owner):
        """The image shows the ventricle .1 voxels larger, or blurred by a variance of .2 voxels² more, than drawn.

        Were the curves known, the misfits would be .1 voxels and, by the heat equation, .1 voxels².
        """
        tissues, read = heart(), read_of(heart(**{f"{owner}_{change}": True}), heart())
        known = read._replace(unmixed=read.unmixed._replace(curves=CURVES))
        index = {"size": 0, "resolution": 1}[change] + {"blood": 0, "myocardium": 4}[owner]
        assert describe(known).values[index].item() == pytest.approx(0.1, rel=0.25)
        unchanged = describe(read_of(tissues, tissues)).values
        assert unchanged[:6].abs().max() < 0.01

    def test_blood_in_the_heart_and_elsewhere_is_read_apart(self):
        """A vessel of half the activity, drawn as the same blood."""
        tissues = heart()
        vessel = torch.zeros_like(tissues[0])
        vessel[:, 2:4, 2:4] = 1.0
        image = tissues.clone()
        tissues[BLOOD] += vessel
        image[BLOOD] += 0.5 * vessel
        read = read_of(image, tissues)
        heart_ratio, vessel_ratio = describe(read).values[24 : 24 + 2 * WINDOWS].view(2, WINDOWS)
        curve = read.unmixed.curves[BLOOD] + OFFSET
        assert heart_ratio.tolist() == pytest.approx(((CURVES[BLOOD] + OFFSET) / curve).log().tolist(), abs=0.02)
        assert vessel_ratio.tolist() == pytest.approx(((0.5 * CURVES[BLOOD] + OFFSET) / curve).log().tolist(), abs=0.02)


class TestCorrection:
    @torch.no_grad()
    def test_new_one_corrects_nothing(self, examples, network):
        example = examples[0]
        found = predict(network, example.scan)
        assert found.factor.tolist() == pytest.approx([1.0] * len(example.scan.timing))
        assert torch.allclose(found.whole_blood, found.curves[0], atol=1e-6)

    def test_fit_finds_a_linear_law(self):
        """Ridge regression with hardly any penalty finds the law behind the data, windows that lack aside."""
        rng = np.random.default_rng(1)
        values = rng.normal(size=(1500, DESCRIPTION))
        slopes = 0.02 * rng.normal(size=(WINDOWS, DESCRIPTION))
        logarithm = values @ slopes.T + 0.1
        logarithm[::7, 3] = np.nan
        known = torch.ones(DESCRIPTION)
        correction = Correction()
        correction.fit([FitDescription(torch.from_numpy(row), known) for row in values], logarithm, 1e-6)
        found = (correction.slopes / correction.scale).numpy()[:-1]
        assert found == pytest.approx(slopes, abs=1e-3)

    def test_expected_error_grows_with_what_makes_errors_grow(self):
        """Errors are √e times larger for each standard deviation of one number of the description."""
        rng = np.random.default_rng(2)
        values = rng.normal(size=(2000, DESCRIPTION))
        logarithm = np.exp(0.5 * values[:, :1]) * rng.normal(size=(2000, WINDOWS))
        correction, known = Correction(), torch.ones(DESCRIPTION)
        correction.fit([FitDescription(torch.from_numpy(row), known) for row in values], logarithm, 10.0)
        usual, doubtful = torch.zeros(DESCRIPTION), torch.zeros(DESCRIPTION)
        doubtful[0] = 1.0
        step = (
            correction(FitDescription(doubtful, known)).expected_log_error
            - correction(FitDescription(usual, known)).expected_log_error
        )
        assert step.item() == pytest.approx(0.5, abs=0.07)

    @torch.no_grad()
    def test_known_error_is_taken_off(self, examples, network):
        """A network that reads every scan too low by a factor is put right on a scan that took no part."""
        wrong = [read_too_low(network, example) for example in examples]
        (corrected,) = with_corrections([network], wrong[:-1])
        scan = wrong[-1]
        found = predict(corrected, scan.scan)
        bolus = scan.whole_blood > 0.5 * scan.whole_blood.max()
        assert (found.whole_blood / scan.whole_blood)[bolus].tolist() == pytest.approx(
            [1.0] * int(bolus.sum()), abs=0.02
        )
        before = predict(network, scan.scan).whole_blood
        assert (before / scan.whole_blood)[bolus].max() < 0.85

    def test_case_states_truth_over_read(self, examples, network):
        ((_, logarithm),) = correction_cases([network], read_too_low(network, examples[0]))
        known = logarithm[np.isfinite(logarithm)]
        assert np.median(known) == pytest.approx(np.log(ERROR), abs=0.02)

    def test_several_processes_fit_the_same(self, examples, network):
        with open_mapper(2) as mapper:
            (found,) = with_corrections([network], examples, mapper=mapper)
        (expected,) = with_corrections([network], examples)
        assert not torch.equal(expected.correction.slopes, torch.zeros_like(expected.correction.slopes))
        torch.testing.assert_close(found.correction.state_dict(), expected.correction.state_dict())
