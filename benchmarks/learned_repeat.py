"""What limits the learned curve: noise, or animals unlike those of the training?

Every simulated mouse is predicted twice, with different noise. Errors due to noise differ between the two, errors of
the segmentation agree. Mice of laboratories like those of the training are compared with mice of laboratories that are
drawn from wider ranges.

    python benchmarks/learned_repeat.py [--mice 40]
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from dlif_core.networks.bundle.model import load_model
from dlif_core.networks.prediction.ensemble import predict_ensemble
from dlif_core.networks.prediction.resampling import NETWORK_VOXEL
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.training.populations import CALIBRATION, LABORATORIES
from dlif_core.phantom import draw, simulate_coarse
from dlif_core.phantom.noise import add_averaged_noise
from dlif_core.phantom.population import Source

# no recipe names these seeds
FIRST = 900_000


def area_errors(networks: list[TissueNetwork], seed: int, population: Source) -> list[float]:
    """Logarithm of the area under the curve over the true one, for each of two images of a mouse."""
    mouse, grid, protocol = draw(seed, population)
    scan = simulate_coarse(mouse, grid, protocol, voxel_size=(NETWORK_VOXEL,) * 3, noise=False)
    found = []
    for repeat in range(2):
        image = scan.activity.clone()
        generator = torch.Generator().manual_seed(2 * seed + repeat)
        add_averaged_noise(image, grid, scan.grid, protocol, mouse.noise_level, generator)
        curve = predict_ensemble(networks, NetworkScan(image, protocol.timing, mouse.body_weight)).whole_blood
        duration = protocol.timing.duration
        found.append(float(np.log((curve @ duration) / (scan.whole_blood @ duration))))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mice", type=int, default=40)
    mice, networks = parser.parse_args().mice, load_model().networks
    for title, population in (("like the training", LABORATORIES), ("from wider ranges", CALIBRATION)):
        errors = np.array([area_errors(networks, FIRST + k, population) for k in range(mice)])
        noise = np.diff(errors).std() / np.sqrt(2.0)
        print(
            f"{title:19}: area off by {errors.std():.3f} (standard deviation of its logarithm), "
            f"by {noise:.3f} from noise ({noise / errors.std():.2f} of it); "
            f"correlation of two images of a mouse {np.corrcoef(errors.T)[0, 1]:.2f}"
        )


if __name__ == "__main__":
    main()
