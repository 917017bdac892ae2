"""A simulated scan and the truth about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError
from dlif_core.phantom.anatomy import ORGANS
from dlif_core.phantom.mouse import Mouse
from dlif_core.phantom.noise import add_noise
from dlif_core.phantom.painting import organ_fractions, organ_weights, paint, reconstructed
from dlif_core.phantom.physiology import OrganKinetics, input_function, organ_blood, organ_curves
from dlif_core.phantom.scanner import CROP, Grid, Protocol
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves
from dlif_core.separable import separable, shift_matrices

Array = NDArray[np.float64]
Image = NDArray[np.float32]

#: Labels of the label map; 0 is outside the body.
LABEL_NAMES: Mapping[int, str] = dict(enumerate(ORGANS, start=1))

# A voxel with more than this of an organ without finite VT has no VT
_NEGLIGIBLE = 0.01


@dataclass(frozen=True, eq=False)
class Truth:
    """The truth about a simulated scan.

    Attributes
    ----------
    input_function
        Whole blood and plasma at 1 s sampling over the whole scan.
    kinetics
        Parameters of each organ.
    maps
        ``K1``, ``Ki`` and ``vB`` and, where uptake is reversible, ``VT``; each of shape (z, y, x) at the resolution of
        the image. Curves and not parameters add up in a voxel that organs share, so the true parameter there is the
        one of the summed curve: P = Σ w·(1 − vB)·P_organ / (1 − Σ w·vB), w being what the voxel shows of each
        organ. That is exact for the initial slope K1, the final slope Ki and the volume at equilibrium VT. The slope
        of a Patlak plot without blood volume correction is (1 − vB)·Ki.
        VT is NaN where an organ without finite VT (urine, lung) takes part.
    labels
        The organ that fills most of each voxel, shape (z, y, x).
    label_names
        Name of each label that may occur.
    """

    input_function: InputFunction
    kinetics: Mapping[str, OrganKinetics]
    maps: Mapping[str, Image]
    labels: NDArray[np.int32]
    label_names: Mapping[int, str]

    def region_means(self, name: str) -> dict[str, float]:
        """Mean of a truth map over every region of the label map, where the map is finite; empty regions are absent."""
        image = self.maps[name]
        present = {region: image[self.labels == label] for label, region in self.label_names.items()}
        finite = {region: values[np.isfinite(values)] for region, values in present.items()}
        return {region: float(values.mean()) for region, values in finite.items() if values.size}


@dataclass(frozen=True, eq=False)
class SimulatedScan:
    """A simulated scan.

    Attributes
    ----------
    mouse, grid, protocol
        What was scanned and how.
    activity
        Shape (frames, z, y, x) [Bq/mL], decay-corrected to injection.
    truth
        True input function, kinetics and maps.
    """

    mouse: Mouse
    grid: Grid
    protocol: Protocol
    activity: Image
    truth: Truth

    @property
    def acquisition(self) -> Acquisition:
        """Metadata of the scan."""
        return Acquisition(
            tracer=self.mouse.tracer.name,
            half_life=self.protocol.half_life,
            injected_activity=self.mouse.injected_activity,
            body_weight=self.mouse.body_weight,
            species=self.mouse.species,
        )

    @property
    def scan(self) -> DynamicScan:
        """The scan as a `DynamicScan`, with region curves from the true labels."""
        labels, names = self.truth.labels, self.truth.label_names
        present = {name: labels == label for label, name in names.items() if (labels == label).any()}
        regions = RegionCurves(
            names=tuple(present),
            activity=np.stack([self.activity[:, mask].mean(axis=1, dtype=float) for mask in present.values()]),
            volume=np.array([mask.sum() * self.grid.voxel_volume for mask in present.values()]),
            source="phantom",
        )
        return DynamicScan(
            timing=self.protocol.timing,
            acquisition=self.acquisition,
            regions=regions,
            activity=self.activity,
            affine=self.grid.affine,
            labels=labels,
            label_names=names,
        )


def simulate(
    mouse: Mouse, grid: Grid = CROP, protocol: Protocol | None = None, *, device: str = "cpu", noise: bool = True
) -> SimulatedScan:
    """Scan a mouse.

    Parameters
    ----------
    mouse
        Result of `draw_mouse`. Texture and noise are drawn from its seed: on one device, the same mouse, grid and
        protocol give the same scan to the last bit.
    grid, protocol
        Voxels and acquisition.
    device
        Torch device that computes.
    noise
        False leaves the image as the scanner blurs it.

    Raises
    ------
    ConfigurationError
        If there is no such device.
    """
    protocol = protocol or Protocol()
    where = usable_device(device)
    generator = torch.Generator(where).manual_seed(mouse.seed)
    painted = paint(mouse.anatomy, grid, where, mouse.deformation)
    weights = organ_weights(painted, protocol, generator)
    curve, curves = true_curves(mouse, protocol)
    image = noise_free(reconstructed(weights, protocol, grid), curves, protocol, grid)
    if noise:
        add_noise(image, grid, protocol, mouse.noise_level, generator)
    truth = Truth(
        input_function=curve,
        kinetics=mouse.kinetics,
        maps=_truth_maps(mouse.kinetics, weights),
        labels=organ_fractions(painted).argmax(dim=0).to(torch.int32).numpy(force=True),
        label_names=LABEL_NAMES,
    )
    return SimulatedScan(mouse, grid, protocol, (image * mouse.activity_per_suv).numpy(force=True), truth)


def true_curves(mouse: Mouse, protocol: Protocol) -> tuple[InputFunction, Array]:
    """The true input function [Bq/mL] and every organ's exact frame averages, shape (organs, frames) [SUV]."""
    scale = mouse.activity_per_suv
    curve = input_function(mouse.blood, float(protocol.timing.end[-1]), scale, mouse.tracer)
    pools = organ_blood(mouse.blood, curve, scale, mouse.tracer)
    return curve, organ_curves(mouse.kinetics, curve, protocol.timing, pools) / scale


def noise_free(
    weights: torch.Tensor, curves: Array, protocol: Protocol, grid: Grid, coarse: Grid | None = None
) -> torch.Tensor:
    """The image as the scanner blurs it, the body displaced in every frame, averaged onto a coarser grid if asked.

    Parameters
    ----------
    weights
        Shape (organs, z, y, x).
    curves
        Shape (organs, frames) [SUV].
    protocol
        Gives the motion.
    grid, coarse
        Grid of the weights and, if it is another one, of the result.

    Returns
    -------
    Shape (frames, z, y, x) [SUV].
    """
    averages = None if coarse is None else grid.averaging_onto(coarse)
    if averages and not protocol.motion:
        weights = separable(weights, averages)
    image = torch.einsum("of,ozyx->fzyx", torch.from_numpy(curves).to(weights), weights)
    if not protocol.motion:
        return image.clamp_(min=0.0) if protocol.overshoot else image
    moves = [
        shift_matrices(n, shifts / size)
        for n, size, shifts in zip(grid.shape, grid.voxel_size, np.transpose(protocol.motion), strict=True)
    ]
    if averages:
        moves = [average @ move for average, move in zip(averages, moves, strict=True)]
    # interpolation and enhanced edges may undershoot a little where an organ ends
    return torch.stack([separable(*each) for each in zip(image, zip(*moves, strict=True), strict=True)]).clamp_(min=0.0)


def usable_device(device: str) -> torch.device:
    """The torch device of that name, if there is one."""
    try:
        return torch.zeros(1, device=device).device
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise ConfigurationError(
            f"torch can't use device {device!r} here.", where="device", hint="Use cpu, or install torch with CUDA."
        ) from error


def _truth_maps(kinetics: Mapping[str, OrganKinetics], weights: torch.Tensor) -> dict[str, Image]:
    def total(value: Callable[[OrganKinetics], float]) -> torch.Tensor:
        each = torch.tensor([value(organ) for organ in kinetics.values()]).to(weights)
        return torch.einsum("o,ozyx->zyx", each, weights)

    blood = total(lambda organ: organ.vB)
    tissue = (1.0 - blood).clamp(min=1e-6)
    maps = {
        "K1": total(lambda organ: (1.0 - organ.vB) * organ.K1) / tissue,
        "Ki": total(lambda organ: (1.0 - organ.vB) * organ.Ki) / tissue,
        "vB": blood,
    }
    if any(organ.K1 and np.isfinite(organ.VT) for organ in kinetics.values()):
        volume = total(lambda organ: (1.0 - organ.vB) * organ.VT if np.isfinite(organ.VT) else 0.0) / tissue
        unbounded = total(lambda organ: float(np.isinf(organ.VT)))
        maps["VT"] = volume.masked_fill(unbounded > _NEGLIGIBLE, torch.nan)
    return {name: image.numpy(force=True) for name, image in maps.items()}
