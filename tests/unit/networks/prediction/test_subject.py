"""The subject of a model: the grid and the body weight at which networks see a species."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.features import CONSTANTS, features
from dlif_core.networks.prediction.resampling import network_affine, to_network_grid
from dlif_core.networks.prediction.scan import NetworkScan, network_scan
from dlif_core.networks.prediction.subject import HUMAN, MOUSE, subject_of
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

TIMING = FrameTiming(np.array([0.0, 20.0, 60.0, 600.0]), np.array([20.0, 40.0, 540.0, 900.0]))


def human_scan() -> DynamicScan:
    activity = np.ones((4, 40, 30, 50), np.float32)
    acquisition = Acquisition("FDG", 6586.2, 2e8, 80.0, species="human")
    regions = RegionCurves(("whole image",), np.ones((1, len(TIMING))), np.array([1.0]))
    return DynamicScan(TIMING, acquisition, regions, activity, np.diag([4.0, 4.0, 5.0, 1.0]))


def test_the_species_are_known_by_name() -> None:
    assert subject_of("human") == HUMAN
    with pytest.raises(ConfigurationError, match="no species 'pig'"):
        subject_of("pig")


def test_an_image_comes_to_the_grid_of_its_species() -> None:
    scan = network_scan(human_scan(), subject=HUMAN)
    assert tuple(scan.activity.shape[1:]) == (20, 12, 20)
    assert scan.subject == HUMAN
    torch.testing.assert_close(scan.activity[0], torch.full((20, 12, 20), 80.0 / 2e5), rtol=1e-5, atol=0.0)


def test_the_affine_is_that_of_the_grid() -> None:
    affine = network_affine(np.diag([4.0, 4.0, 5.0, 1.0]), (40, 30, 50), HUMAN.voxel)
    np.testing.assert_allclose(np.diag(affine), [10.0, 10.0, 10.0, 1.0])


def test_the_grid_of_mice_is_unchanged() -> None:
    image = torch.rand(1, 6, 6, 6)
    torch.testing.assert_close(to_network_grid(image, (0.5,) * 3), to_network_grid(image, (0.5,) * 3, MOUSE.voxel))


def test_a_weight_counts_relative_to_the_usual_one_of_the_species() -> None:
    usual = NetworkScan(torch.rand(4, 4, 4, 4), TIMING, HUMAN.body_weight, HUMAN)
    heavy = replace(usual, body_weight=2.0 * HUMAN.body_weight)
    weights = [float(features(scan).constants[CONSTANTS - 1]) for scan in (usual, heavy)]
    assert weights == pytest.approx([0.0, np.log(2.0)])
