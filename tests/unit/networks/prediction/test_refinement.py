"""Refinement of a segmentation: its input, its beginning, that it is trained, saved and explained."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from dlif_core.networks.explanation.explained_scan import explained_scan
from dlif_core.networks.explanation.relevance import relevance
from dlif_core.networks.explanation.targets import curve_target
from dlif_core.networks.prediction.features import WINDOWS, features, seen_through
from dlif_core.networks.prediction.predict import predict
from dlif_core.networks.prediction.refinement import RefiningNetwork, reconstruction_residual
from dlif_core.networks.prediction.tissues import TISSUES
from dlif_core.networks.prediction.unmixing import noise_confidence
from dlif_core.networks.prediction.weight_map import Segmentation, TissueNetwork
from dlif_core.networks.prediction.weights import load_network, save_network
from dlif_core.networks.training.tissue_network import Recipe, Training

SMALL = (4, 6, 8)
RECIPE = Recipe(channels=SMALL, steps=40, learning_rate=0.01, warm_up=5)
MYOCARDIUM = TISSUES.index("myocardium")


@pytest.fixture(scope="module")
def first(examples):
    """What is tested of two found holds for any weights: here, for those that a training begins with."""
    return Training(RECIPE, examples, examples[:1])


def refining(first, examples, **changes):
    training = Training(replace(RECIPE, revisions=2, **changes), examples, examples[:1])
    training.begin_from(first.averaged_weights)
    return training


def scene(example):
    """Image without noise made of the true tissues."""
    rise = torch.linspace(0.5, 2.0, len(example.scan.timing))
    curves = torch.stack([rise ** (0.3 * k - 1.0) for k in range(len(TISSUES))])
    return example.scan.with_activity(torch.einsum("kf,kzyx->fzyx", curves, example.tissues))


def as_seen(scan):
    """Activity, features and confidence, which networks segment."""
    counting = noise_confidence(scan.activity, scan.seconds)
    return scan.activity, features(scan), counting


def as_segmentation(tissues):
    return Segmentation(tissues, torch.ones_like(tissues[0]), torch.zeros(1 + len(tissues), *tissues.shape[1:]))


class TestResidual:
    def test_of_the_true_tissues_there_is_nothing(self, examples):
        example = examples[0]
        activity, seen, counting = as_seen(scene(example))
        left = reconstruction_residual(activity, seen, as_segmentation(example.tissues), counting)
        assert left.shape == (WINDOWS, *example.tissues.shape[1:])
        assert float(left.abs().mean()) < 0.01 * float(seen.image.mean())

    def test_of_a_heart_that_was_missed_it_is_where_the_heart_is(self, examples):
        example = examples[0]
        activity, seen, counting = as_seen(scene(example))
        missing = example.tissues.clone()
        missing[MYOCARDIUM] = 0.0
        left = reconstruction_residual(activity, seen, as_segmentation(missing), counting).abs().sum(dim=0)
        heart, elsewhere = example.tissues[MYOCARDIUM] > 0.2, example.tissues[MYOCARDIUM] < 1e-3
        assert float(left[heart].mean()) > 3 * float(left[elsewhere].mean())

    def test_is_the_root_of_the_difference_with_its_sign(self, examples):
        """With tissues that explain nothing, of the window means themselves."""
        example = examples[0]
        activity, seen, counting = as_seen(example.scan)
        left = reconstruction_residual(activity, seen, as_segmentation(torch.zeros_like(example.tissues)), counting)
        means = torch.einsum("wf,fzyx->wzyx", seen.windows, activity)
        clear = means.abs() > 1.0
        torch.testing.assert_close(left[clear], 2 * (means.sign() * means.abs().sqrt())[clear], rtol=0.01, atol=0.0)
        assert left.sign().eq(means.sign()).all()


class TestRefiningNetwork:
    def test_begins_with_the_segmentation_of_the_first(self, first, examples):
        example = examples[1]
        begun = refining(first, examples).network.eval()
        alone = TissueNetwork(SMALL).eval()
        alone.load_state_dict(first.averaged_weights)
        found, expected = (predict(one, example.scan) for one in (begun, alone))
        torch.testing.assert_close(found.whole_blood, expected.whole_blood)

    def test_training_keeps_the_first_segmentation_and_changes_the_second(self, first, examples):
        training = refining(first, examples, steps=6)
        training.run()
        assert training.log[-1].loss < float("inf")
        network, (activity, seen, counting) = training.network.eval(), as_seen(examples[0].scan)
        alone = TissueNetwork(SMALL).eval()
        alone.load_state_dict(first.averaged_weights)
        torch.testing.assert_close(network(seen).tissues, alone(seen).tissues)
        again = network.segment(activity, seen, counting).tissues
        assert float((again - alone(seen).tissues).detach().abs().max()) > 0.01
        assert network.left_over.weight.abs().max() > 0

    def test_refines_its_own_segmentation_as_it_does_the_first(self, first, examples):
        """A network whose first segmentation is the second of another continues from it."""
        training = refining(first, examples, steps=6)
        training.run()
        network, (activity, seen, counting) = training.network.eval(), as_seen(examples[1].scan)
        found = [network.segment(activity, seen, counting, revisions=k) for k in range(3)]
        torch.testing.assert_close(found[0].tissues, network(seen).tissues)
        torch.testing.assert_close(found[2].tissues, network.segment(activity, seen, counting).tissues)
        after = deepcopy(network)
        after.first.forward = lambda _: found[1]
        torch.testing.assert_close(after.segment(activity, seen, counting, revisions=1).tissues, found[2].tissues)

    def test_resumes_to_the_same_bits(self, first, examples, tmp_path):
        whole, stopped = (refining(first, examples, steps=6) for _ in range(2))
        whole.run()
        stopped.run(updates=3)
        stopped.save(tmp_path / "training.safetensors")
        resumed = Training.resume(tmp_path / "training.safetensors", stopped.recipe, examples, examples[:1])
        resumed.run()
        assert all(
            torch.equal(a, b) for a, b in zip(resumed.network.parameters(), whole.network.parameters(), strict=True)
        )

    def test_may_begin_from_one_that_refines(self, first, examples):
        before = refining(first, examples, steps=4)
        before.run()
        after = refining(first, examples)
        after.begin_from(before.averaged_weights)
        assert all(torch.equal(value, before.averaged_weights[name]) for name, value in after.averaged_weights.items())

    def test_file_keeps_it(self, first, examples, tmp_path):
        network = refining(first, examples).network
        save_network(tmp_path / "n.safetensors", network)
        loaded = load_network(tmp_path / "n.safetensors")
        assert isinstance(loaded, RefiningNetwork)
        assert loaded.revisions == 2
        assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), network.parameters(), strict=True))


class TestExplanation:
    @pytest.fixture(scope="class")
    @staticmethod
    def seen(members, hearts):
        """A network that refines the segmentation of one of the shipped model, by weights that are not trained."""
        network = RefiningNetwork(members[0].channels, revisions=2)
        network.load_state_dict(network.starting_weights(members[0].state_dict()))
        torch.nn.init.normal_(network.left_over.weight, std=0.01, generator=torch.Generator().manual_seed(5))
        return explained_scan([network.eval()], hearts[0].scan)

    def test_relevance_goes_through_both_segmentations_and_adds_up(self, seen):
        found = relevance(seen, curve_target("auc", seen.timing), steps=8)
        assert found.gap < 0.05

    def test_an_occluded_window_is_hidden_from_both_segmentations(self, seen):
        """What frames of that window alone show can change neither."""
        network, (activity, described, counting) = seen.networks[0], as_seen(seen.scan)
        hidden = described.windows.clone()
        hidden[10] = hidden[[9, 11]].mean(dim=0)
        alone = (described.windows[10] > 0) & (hidden.sum(dim=0) == 0)
        assert alone.any()
        other = activity.clone()
        other[alone] += torch.rand(activity.shape[1:], generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            drawn = [network.segment(one, seen_through(described, one, hidden), counting) for one in (activity, other)]
            plain = [
                network.segment(one, seen_through(described, one, described.windows), counting)
                for one in (activity, other)
            ]
        torch.testing.assert_close(drawn[0].tissues, drawn[1].tissues)
        assert float((plain[0].tissues - plain[1].tissues).abs().max()) > 0.01
