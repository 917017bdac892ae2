"""Arterial blood from both pools: arteries alone while blood differs, both once it is mixed, none that is not there."""

import pytest
import torch

from dlif_core.networks.prediction.arterial import read_arterial
from dlif_core.networks.prediction.tissues import ARTERIAL, TISSUES, VENOUS
from dlif_core.networks.prediction.unmixing import unmix

SINCE = torch.tensor([5.0, 20.0, 45.0, 120.0, 600.0, 1800.0])
ARTERIES = torch.tensor([2.0, 8.0, 5.0, 3.0, 2.0, 1.0])
VEINS = torch.tensor([9.0, 6.0, 4.5, 2.94, 1.96, 0.98])
MUSCLE = TISSUES.index("muscle")


def phantom(venous=True):
    """Eight voxels of arteries and 64 of veins in muscle; tissues and curves."""
    tissues = torch.zeros(len(TISSUES), 10, 10, 10)
    tissues[ARTERIAL, 1:3, 1:3, 1:3] = 1.0
    tissues[VENOUS, 5:9, 5:9, 5:9] = float(venous)
    tissues[MUSCLE] = 1.0 - tissues.sum(dim=0)
    curves = torch.zeros(len(TISSUES), len(SINCE))
    curves[ARTERIAL], curves[VENOUS], curves[MUSCLE] = ARTERIES, VEINS, 0.5
    return tissues, curves


def reading(activity, tissues):
    confidence = torch.ones(tissues.shape[1:])
    return read_arterial(activity, tissues, confidence, unmix(activity, tissues, confidence), SINCE)


@pytest.fixture(scope="module")
def noisy():
    """Readings of the same scan with other noise, of a standard deviation of .5 SUV in every voxel."""
    tissues, curves = phantom()
    generator = torch.Generator().manual_seed(3)
    image = torch.einsum("kf,kzyx->fzyx", curves, tissues)
    return [
        reading(image + 0.5 * torch.randn(image.shape, generator=generator), tissues).curve.double() for _ in range(400)
    ]


def test_without_noise_the_arteries_are_read():
    tissues, curves = phantom()
    read = reading(torch.einsum("kf,kzyx->fzyx", curves, tissues), tissues)
    assert read.curve.tolist() == pytest.approx(ARTERIES.tolist(), rel=4e-3)  # the ridge takes a quarter of a per cent


def test_with_noise_there_is_no_bias_beyond_what_veins_differ(noisy):
    mean = torch.stack(noisy).mean(dim=0)
    assert mean.tolist() == pytest.approx(ARTERIES.tolist(), rel=0.03)


def test_late_blood_has_the_noise_of_all_pools_and_early_blood_that_of_the_arteries(noisy):
    """The mean of 8 voxels has .5/√8 = .18 SUV, that of 64 has .06 SUV; both together, by inverse variance, .059."""
    spread = torch.stack(noisy).std(dim=0)
    assert spread[:2].tolist() == pytest.approx([0.5 / 8**0.5] * 2, rel=0.12)
    assert spread[-1] < 0.08


def test_veins_that_are_not_there_are_not_read():
    """The least squares give them a curve of zero without any noise, which is no measurement."""
    tissues, curves = phantom(venous=False)
    generator = torch.Generator().manual_seed(4)
    image = torch.einsum("kf,kzyx->fzyx", curves, tissues)
    read = reading(image + 0.2 * torch.randn(image.shape, generator=generator), tissues)
    assert read.shares[1].tolist() == [0.0] * len(SINCE)
    assert read.curve.tolist() == pytest.approx(ARTERIES.tolist(), abs=0.3)


def test_the_shares_are_the_weights_of_the_readings():
    tissues, curves = phantom()
    generator = torch.Generator().manual_seed(5)
    image = torch.einsum("kf,kzyx->fzyx", curves, tissues) + 0.5 * torch.randn(6, 10, 10, 10, generator=generator)
    unmixed = unmix(image, tissues, torch.ones(10, 10, 10))
    read = reading(image, tissues)
    by_hand = (read.shares * unmixed.curves[[ARTERIAL, VENOUS]]).sum(dim=0)
    torch.testing.assert_close(read.curve, by_hand)
