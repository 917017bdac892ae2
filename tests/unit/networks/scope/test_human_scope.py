"""What the scope checks before the network allow for models of humans and of mice."""

import numpy as np
import pytest
import torch

from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.subject import HUMAN, MOUSE
from dlif_core.networks.scope.checks import check_image, precheck
from dlif_core.networks.scope.verdict import Verdict
from dlif_core.phantom.human import HUMAN_FRAMES
from dlif_core.phantom.scanner import frame_timing
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

TIMING = frame_timing(HUMAN_FRAMES)


def human_scan(voxel: float = 4.0, planes: int = 60, across: int = 100, **changed: object) -> DynamicScan:
    """A scan of which only metadata and voxels are looked at."""
    stated = {"injected_activity": 3e8, "body_weight": 75.0, "species": "human"} | changed
    image = np.broadcast_to(np.float32(0.0), (len(TIMING), planes, across, across))
    regions = RegionCurves(("whole image",), np.ones((1, len(TIMING))), np.array([1.0]))
    acquisition = Acquisition("FDG", 6586.2, **stated)
    return DynamicScan(TIMING, acquisition, regions, image, np.diag([voxel, voxel, voxel, 1.0]))


def test_the_usual_human_is_in_scope_of_a_model_of_humans() -> None:
    assert precheck(human_scan(), HUMAN) == Verdict()


def test_a_human_is_out_of_scope_of_a_model_of_mice() -> None:
    verdict = precheck(human_scan(), MOUSE)
    assert verdict.state == "out of scope"
    assert "the species is 'human'; the model knows mice only." in verdict.reasons
    assert any("the body weight is 75 kg; the model knows mice of 18 to 35 g." in reason for reason in verdict.reasons)


def test_a_mouse_is_out_of_scope_of_a_model_of_humans() -> None:
    verdict = precheck(human_scan(0.5, 128, 92, species="mouse", body_weight=0.022, injected_activity=8e6), HUMAN)
    assert verdict.state == "out of scope"
    assert "the species is 'mouse'; the model knows humans only." in verdict.reasons
    assert any("body weight is 22 g; the model knows humans of 45 to 110 kg" in reason for reason in verdict.reasons)
    assert any("voxels are 0.5 mm" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("changed", "state", "said"),
    [
        ({"planes": 30}, "out of scope", "120 mm along z"),
        ({"planes": 43}, "doubtful", "172 mm along z"),
        ({"across": 40}, "out of scope", "160 mm along x"),
        ({"voxel": 8.0}, "out of scope", "1.6 to 4.1 mm"),
        ({"body_weight": 20.0}, "out of scope", "body weight is 20 kg"),
        ({"body_weight": 125.0}, "doubtful", "body weight is 125 kg"),
    ],
)
def test_limits_of_humans(changed: dict[str, float], state: str, said: str) -> None:
    verdict = precheck(human_scan(**changed), HUMAN)
    assert verdict.state == state
    assert said in " ".join(verdict.reasons)


@pytest.mark.parametrize(("factor", "state"), [(1.0, "in scope"), (1000.0, "out of scope"), (0.001, "out of scope")])
def test_a_chest_that_is_wider_than_long_is_sound_and_a_wrong_unit_is_not(factor: float, state: str) -> None:
    activity = torch.zeros(len(TIMING), 22, 30, 42)
    activity[3:, :, 5:25, 5:37] = 1.5 * factor
    activity[3:, :, 5:25, 20:37] *= torch.linspace(0.5, 1.5, len(TIMING) - 3)[:, None, None, None]
    verdict = check_image(NetworkScan(activity, TIMING, 75.0, HUMAN))
    assert verdict.state == state
    if state != "in scope":
        assert "FDG human" in verdict.reasons[0]
