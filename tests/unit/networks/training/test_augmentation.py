"""Augmentation of examples: the image remains the mixture of its tissues."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from dlif_core.networks.prediction.tissues import TISSUES
from dlif_core.networks.prediction.unmixing import unmix
from dlif_core.networks.training.augmentation import (
    AugmentedExamples,
    augmented,
    augmented_for_training,
    begun_late,
    bent,
    blurred,
    ended_early,
    stretched,
)


@pytest.fixture(scope="module")
def mixture(examples):
    """A scan at rest without noise, an exact mixture of its tissues."""
    example = examples[0]
    curves = torch.rand(len(example.tissues), len(example.scan.timing), generator=torch.Generator().manual_seed(1))
    return replace(
        example,
        scan=example.scan.with_activity(torch.einsum("kf,kzyx->fzyx", curves, example.tissues)),
        displacement=torch.zeros_like(example.displacement),
        whole_blood=curves[0],
    )


def reads_its_blood(example):
    read = unmix(example.scan.activity, example.tissues, torch.ones(example.tissues.shape[1:])).curves[0]
    torch.testing.assert_close(read, example.whole_blood, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("zoom", [(1.14, 1.1, 1.12), (0.88, 0.9, 0.86)])
def test_a_stretched_animal_has_organs_of_another_size_and_the_same_blood(mixture, zoom):
    found = stretched(mixture, zoom)
    myocardium = TISSUES.index("myocardium")
    ratio = found.tissues[myocardium].sum() / mixture.tissues[myocardium].sum()
    assert float(ratio) == pytest.approx(np.prod(zoom), rel=0.03)
    reads_its_blood(found)


def test_a_blurred_scan_is_that_of_scipy_and_has_the_same_blood(mixture):
    found = blurred(mixture, 1.2)
    expected = gaussian_filter(mixture.scan.activity[20].numpy(), 1.2 / np.sqrt(8.0 * np.log(2.0)), mode="nearest")
    np.testing.assert_allclose(found.scan.activity[20], expected, atol=1e-4)
    reads_its_blood(found)


def test_what_moved_so_many_voxels_moves_in_proportion_in_a_stretched_animal(examples):
    found = stretched(examples[1], (1.1, 0.9, 1.0))
    torch.testing.assert_close(found.displacement, examples[1].displacement * torch.tensor([1.1, 0.9, 1.0]))


def test_a_scan_that_ends_early_has_its_first_frames(examples):
    example = examples[0]
    short = ended_early(example, 900.0)
    number = len(short.scan.timing)
    assert 0 < number < len(example.scan.timing)
    assert short.scan.timing.end[-1] <= 900.0 < example.scan.timing.end[number]
    assert torch.equal(short.scan.activity, example.scan.activity[:number])
    assert len(short.whole_blood) == len(short.displacement) == number
    assert len(ended_early(example, -1e9).scan.timing) == len(example.scan.timing)


def test_the_blood_is_read_from_every_augmented_scan(mixture):
    """Without noise and at rest, by its own tissues: of 30 augmented scans most are stretched, blurred or short."""
    rng = np.random.default_rng(0)
    found = [augmented(mixture, rng) for _ in range(30)]
    for one in found:
        reads_its_blood(one)
    assert len({(len(one.scan.timing), float(one.tissues.sum())) for one in found}) > 20


def test_an_example_is_always_augmented_in_the_same_way(examples):
    source = AugmentedExamples(examples)
    assert len(source) == len(examples)
    first, again = ([one.scan.activity for one in map(source.__getitem__, range(len(examples)))] for _ in range(2))
    assert all(map(torch.equal, first, again))
    assert not all(torch.equal(one, example.scan.activity) for one, example in zip(first, examples, strict=True))


def test_most_scans_are_corrected_for_motion(examples):
    """What is left of the motion is an error of alignment; the others keep it, mirrored with the image."""
    rng = np.random.default_rng(0)
    right = [bool((augmented_for_training(examples[1], rng).displacement == 0).all()) for _ in range(40)]
    assert 20 <= sum(right) < 40


def test_a_scan_of_unknown_tissues_is_augmented_too(examples):
    unknown = replace(examples[0], tissues=examples[0].tissues[:0])
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert len(augmented_for_training(unknown, rng).tissues) == 0


def test_a_bent_example_is_the_same_mixture_of_its_tissues(mixture):
    moved = bent(mixture, 1.5, np.random.default_rng(2))
    assert (moved.scan.activity - mixture.scan.activity).abs().mean() > 0.02 * mixture.scan.activity.mean()
    reads_its_blood(moved)
    still = bent(mixture, 0.0, np.random.default_rng(2))
    torch.testing.assert_close(still.scan.activity, mixture.scan.activity, rtol=1e-3, atol=1e-4)


def test_an_example_that_begins_late_lacks_its_first_frames(mixture):
    timing = mixture.scan.timing
    late = begun_late(mixture, timing.start[2])
    assert late.scan.timing.start.tolist() == timing.start[2:].tolist()
    torch.testing.assert_close(late.whole_blood, mixture.whole_blood[2:])
    torch.testing.assert_close(late.scan.activity, mixture.scan.activity[2:])
    assert len(begun_late(mixture, timing.end[-1]).scan.timing) == 1
