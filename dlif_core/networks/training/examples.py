"""Examples that networks learn from: simulated scans on the networks' grid, kept in a folder once they are made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.resampling import NETWORK_VOXEL
from dlif_core.networks.prediction.tissues import tissue_parts
from dlif_core.phantom import Population, draw, simulate_coarse

# parts of tissues are kept as bytes; texture makes some exceed 1
_PART_STEP = 1 / 160


@dataclass(frozen=True, eq=False)
class Example:
    """A scan and what a network is to find in it.

    Attributes
    ----------
    activity
        Shape (frames, z, y, x), voxels of 1 mm [SUV].
    timing
        Of the frames.
    body_weight
        [kg].
    tissues
        How much of each tissue a voxel shows, the body at rest, shape (tissues, z, y, x).
    displacement
        Of the body in every frame, shape (frames, 3) along z, y, x [voxels].
    whole_blood
        Exact frame averages, shape (frames,) [SUV].
    """

    activity: torch.Tensor
    timing: FrameTiming
    body_weight: float
    tissues: torch.Tensor
    displacement: torch.Tensor
    whole_blood: torch.Tensor

    def to(self, device: torch.device) -> Example:
        """The same on a device."""
        moved: dict[str, Any] = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, torch.Tensor)}
        return replace(self, **moved)


def make_example(seed: int, population: Population) -> Example:
    """Draw and simulate a scan, in about .2 s of one core; the same arguments give the same example."""
    scan = simulate_coarse(*draw(seed, population), voxel_size=(NETWORK_VOXEL,) * 3)
    frames = len(scan.protocol.timing)
    motion = torch.tensor(scan.protocol.motion or [(0.0, 0.0, 0.0)] * frames, dtype=torch.float32)
    return Example(
        activity=scan.activity,
        timing=scan.protocol.timing,
        body_weight=scan.mouse.body_weight,
        tissues=tissue_parts(scan.weights),
        displacement=motion / NETWORK_VOXEL,
        whole_blood=torch.from_numpy(scan.whole_blood.astype(np.float32)),
    )


def save_example(path: Path, example: Example) -> None:
    """Write an example, about 4 MB: activity in half precision, tissues in bytes; never seen half-written."""
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(
            file,
            activity=example.activity.half().numpy(),
            tissues=(example.tissues / _PART_STEP).round().clamp(0, 255).byte().numpy(),
            displacement=example.displacement.numpy(),
            whole_blood=example.whole_blood.numpy(),
            start=example.timing.start,
            duration=example.timing.duration,
            body_weight=example.body_weight,
        )
    os.replace(partial, path)


def load_example(path: Path) -> Example:
    """Read an example back."""
    with np.load(path, allow_pickle=False) as kept:
        return Example(
            activity=torch.from_numpy(kept["activity"].astype(np.float32)),
            timing=FrameTiming(kept["start"], kept["duration"], where=path),
            body_weight=float(kept["body_weight"]),
            tissues=torch.from_numpy(kept["tissues"].astype(np.float32)) * _PART_STEP,
            displacement=torch.from_numpy(kept["displacement"].astype(np.float32)),
            whole_blood=torch.from_numpy(kept["whole_blood"]),
        )


class Examples:
    """Examples of a population by number, made when they are first asked for.

    Parameters
    ----------
    folder
        In which they are kept; it may be shared by several processes.
    population
        From which they are drawn.
    seeds
        Seed of each.

    Raises
    ------
    ConfigurationError
        If there are no seeds.
    """

    def __init__(self, folder: Path, population: Population, seeds: Sequence[int]) -> None:
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
