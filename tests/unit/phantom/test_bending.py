"""Bent bodies: displaced by as much as is asked for, of the same volume, and painted whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dlif_core.phantom import draw
from dlif_core.phantom.anatomy import ORGANS
from dlif_core.phantom.bending import draw_bending
from dlif_core.phantom.painting import organ_fractions, paint
from dlif_core.phantom.sites import Sites

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [0.5, 1.5])
def test_displacement_has_the_size_asked_for(size: float) -> None:
    found = []
    for seed in range(8):
        bent = draw_bending(np.random.default_rng(seed), size)
        assert bent is not None
        points = torch.from_numpy(np.random.default_rng(9).uniform(-60.0, 60.0, (3, 4000)))
        moved = torch.stack(bent.straightened(points[0], points[1], points[2])) - points
        assert (moved.abs().amax(dim=1).numpy() <= bent.reach + 1e-9).all()
        found.append(float(moved.square().sum(dim=0).mean().sqrt()))
    assert np.mean(found) == pytest.approx(size, rel=0.1)


def test_without_size_there_is_none() -> None:
    assert draw_bending(np.random.default_rng(0), 0.0) is None


def test_a_bent_body_is_painted_whole_and_keeps_its_volumes() -> None:
    laboratories = Sites("sites", 200)
    ratios = []
    for seed in range(6):
        drawn = draw(seed, laboratories)
        grid = replace(drawn.grid, shape=(150, 80, 80), voxel_size=(0.7, 0.7, 0.7))
        straight, bent = (
            organ_fractions(paint(drawn.mouse.anatomy, grid, CPU, how)).sum(dim=(1, 2, 3))
            for how in (None, drawn.mouse.deformation)
        )
        assert (bent[straight > 0] > 0).all()
        ratios.append((bent / straight.clamp(min=1e-6))[1 + ORGANS.index("liver")].item())
    assert np.median(ratios) == pytest.approx(1.0, abs=0.1)
