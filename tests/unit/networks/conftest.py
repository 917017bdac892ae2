"""Networks and scans for the tests of this room."""

from dataclasses import replace

import pytest

from dlif_core.networks.bundle.folder import DEFAULT_MODEL, SHIPPED
from dlif_core.networks.prediction.tissues import TISSUES
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.prediction.weights import load_network
from dlif_core.networks.training.examples import Example

MYOCARDIUM = TISSUES.index("myocardium")


@pytest.fixture(scope="session")
def members() -> list[TissueNetwork]:
    """Two networks of the shipped model.

    Their weights are the same on every processor. A network that a test trains has weights that depend on how the
    processor rounds, and the curve of one that is hardly trained may change by 1e-4 of itself if the image is rounded
    otherwise.
    """
    return [load_network(SHIPPED / DEFAULT_MODEL / f"member-{number}.safetensors") for number in (1, 2)]


@pytest.fixture(scope="session")
def hearts(examples: list[Example]) -> list[Example]:
    """The examples cut to the heart, to be quick."""
    return [about_heart(example) for example in examples]


def about_heart(example: Example, length: int = 16) -> Example:
    """The example without voxels far from the myocardium along y and x."""
    heart = example.tissues[MYOCARDIUM]
    cut = [slice(None), slice(None)]
    for axis in (1, 2):
        profile = heart.sum(dim=[other for other in range(3) if other != axis])
        middle = int((profile.cumsum(0) < 0.5 * profile.sum()).sum())
        first = min(max(middle - length // 2, 0), len(profile) - length)
        cut.append(slice(first, first + length))
    scan = example.scan.with_activity(example.scan.activity[tuple(cut)])
    return replace(example, scan=scan, tissues=example.tissues[tuple(cut)])
