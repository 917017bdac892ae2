"""Examples that networks learn from: simulated scans on the networks' grid, kept in a folder once they are made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.subject import MOUSE, subject_of
from dlif_core.networks.prediction.tissues import tissue_parts
from dlif_core.phantom import draw, simulate_coarse
from dlif_core.phantom.population import Source

# parts of tissues are kept as bytes; texture makes some exceed 1
_PART_STEP = 1 / 160


@dataclass(frozen=True, eq=False)
class Example:
    """A scan and what a network is to find in it.

    Attributes
    ----------
    scan
        The scan on the networks' grid.
    tissues
        Part of each tissue in every voxel, the body at rest, shape (tissues, z, y, x); no tissues if they are unknown.
    displacement
        Displacement of the body in every frame along z, y, x, shape (frames, 3) [voxels].
    whole_blood
        Exact frame averages of arterial whole blood, shape (frames,) [SUV]; NaN in frames whose blood is unknown, which
        only real scans have.
    """

    scan: NetworkScan
    tissues: torch.Tensor
    displacement: torch.Tensor
    whole_blood: torch.Tensor

    def to(self, device: torch.device) -> Example:
        """The example with all its tensors on a device."""
        return Example(
            self.scan.to(device), self.tissues.to(device), self.displacement.to(device), self.whole_blood.to(device)
        )


def make_example(seed: int, population: Source) -> Example:
    """Simulate a scan in about .2 s of one core; the same arguments give the same example."""
    drawn = draw(seed, population)
    subject = subject_of(drawn.mouse.species)
    scan = simulate_coarse(*drawn, voxel_size=(subject.voxel,) * 3)
    frames = len(scan.protocol.timing)
    motion = torch.tensor(scan.protocol.motion or [(0.0, 0.0, 0.0)] * frames, dtype=torch.float32)
    return Example(
        scan=NetworkScan(scan.activity, scan.protocol.timing, scan.mouse.body_weight, subject),
        tissues=tissue_parts(scan.weights),
        displacement=motion / subject.voxel,
        whole_blood=torch.from_numpy(scan.whole_blood.astype(np.float32)),
    )


def save_example(path: Path, example: Example) -> None:
    """Write an example of about 4 MB, with activity in half precision; the file appears when it is complete."""
    partial = path.with_suffix(f".{os.getpid()}.part")
    with partial.open("wb") as file:
        np.savez(
            file,
            activity=example.scan.activity.half().numpy(),
            tissues=(example.tissues / _PART_STEP).round().clamp(0, 255).byte().numpy(),
            displacement=example.displacement.numpy(),
            whole_blood=example.whole_blood.numpy(),
            start=example.scan.timing.start,
            duration=example.scan.timing.duration,
            body_weight=example.scan.body_weight,
            species=example.scan.subject.species,
        )
    os.replace(partial, path)


def load_example(path: Path) -> Example:
    """Read an example that `save_example` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        timing = FrameTiming(kept["start"], kept["duration"], where=path)
        activity = torch.from_numpy(kept["activity"].astype(np.float32))
        # examples of mice were kept before there were others
        subject = subject_of(str(kept["species"])) if "species" in kept else MOUSE
        return Example(
            scan=NetworkScan(activity, timing, float(kept["body_weight"]), subject),
            tissues=torch.from_numpy(kept["tissues"].astype(np.float32)) * _PART_STEP,
            displacement=torch.from_numpy(kept["displacement"].astype(np.float32)),
            whole_blood=torch.from_numpy(kept["whole_blood"]),
        )


class Examples:
    """Examples of a population by number, simulated when they are first asked for.

    Parameters
    ----------
    folder
        Folder in which they are kept; several processes may share it.
    population
        Population from which animals and scans are drawn.
    seeds
        Seed of each example.

    Raises
    ------
    ConfigurationError
        If there are no seeds.
    """

    def __init__(self, folder: Path, population: Source, seeds: Sequence[int]) -> None:
        if not seeds:
            raise ConfigurationError("a network can't learn from no examples.", hint="Give at least one seed.")
        self.folder, self.population, self.seeds = Path(folder), population, seeds
        self.folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, index: int) -> Example:
        path = self.folder / f"{self.population.name}-{self.seeds[index]:07d}.npz"
        if not path.exists():
            save_example(path, make_example(self.seeds[index], self.population))
        return load_example(path)
