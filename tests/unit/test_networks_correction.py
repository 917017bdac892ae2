"""The correction over time: what describes a scan, and that a known error of a network is taken off."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dlif_core.frames import FrameTiming
from dlif_core.networks.correction import DESCRIPTION, OFFSET, Correction, Described, describe
from dlif_core.networks.correction_fitting import correction_cases, with_corrections
from dlif_core.networks.examples import make_example
from dlif_core.networks.features import WINDOW_EDGES, WINDOWS, features, frame_matrix
from dlif_core.networks.prediction import predict
from dlif_core.networks.unmixing import noise_confidence, unmix
from dlif_core.networks.weight_map import TissueNetwork
from dlif_core.phantom import TRAINING

ERROR = 1.3


@pytest.fixture(scope="module")
def examples():
    return [make_example(seed, TRAINING) for seed in range(40, 46)]


@pytest.fixture(scope="module")
def network():
    """Draws the same everywhere: what it reads is the mean of the image times a factor."""
    network = TissueNetwork((4, 4, 4)).eval()
    torch.nn.init.zeros_(network.out.weight)
    return network


def read_too_low(network, example):
    """The example, were its blood such that the network reads it too low by a factor."""
    read = predict(network, example.activity, example.timing, example.body_weight).curves[0]
    return replace(example, whole_blood=ERROR * (read.clamp(min=0.0) + OFFSET) - OFFSET)


def described(network, example):
    seen = features(example.activity, example.timing, example.body_weight)
    drawn = network(seen)
    unmixed = unmix(
        example.activity, drawn.tissues, noise_confidence(example.activity, torch.tensor(example.timing.duration))
    )
    return describe(seen, unmixed, drawn.tissues)


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
        frames = int((example.timing.end <= 900.0).sum())
        timing = FrameTiming(example.timing.start[:frames], example.timing.duration[:frames])
        whole = described(network, example)
        cut = described(network, replace(example, timing=timing, activity=example.activity[:frames]))
        assert cut.known.sum() < whole.known.sum()
        assert torch.isfinite(cut.values).all()


class TestCorrection:
    @torch.no_grad()
    def test_new_one_corrects_nothing(self, examples, network):
        example = examples[0]
        found = predict(network, example.activity, example.timing, example.body_weight)
        assert found.factor.tolist() == pytest.approx([1.0] * len(example.timing))
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
        correction.fit([Described(torch.from_numpy(row), known) for row in values], logarithm, 1e-6)
        found = (correction.slopes / correction.scale).numpy()
        assert found == pytest.approx(slopes, abs=1e-3)

    @torch.no_grad()
    def test_known_error_is_taken_off(self, examples, network):
        """A network that reads every scan too low by a factor is put right on a scan that took no part."""
        wrong = [read_too_low(network, example) for example in examples]
        (corrected,) = with_corrections([network], wrong[:-1])
        scan = wrong[-1]
        found = predict(corrected, scan.activity, scan.timing, scan.body_weight)
        bolus = scan.whole_blood > 0.5 * scan.whole_blood.max()
        assert (found.whole_blood / scan.whole_blood)[bolus].tolist() == pytest.approx(
            [1.0] * int(bolus.sum()), abs=0.02
        )
        before = predict(network, scan.activity, scan.timing, scan.body_weight).whole_blood
        assert (before / scan.whole_blood)[bolus].max() < 0.85

    def test_case_states_truth_over_read(self, examples, network):
        ((_, logarithm),) = correction_cases([network], read_too_low(network, examples[0]))
        known = logarithm[np.isfinite(logarithm)]
        assert np.median(known) == pytest.approx(np.log(ERROR), abs=0.02)
