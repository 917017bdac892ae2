"""Simulated scans with a fault, to test whether a method detects it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dlif_core.errors import ConfigurationError
from dlif_core.phantom.coarse import CoarseScan, simulate_coarse
from dlif_core.phantom.mouse import Mouse
from dlif_core.phantom.population import Draw, Population, Source, draw
from dlif_core.phantom.scanner import Grid
from dlif_core.phantom.simulation import SimulatedScan, simulate
from dlif_core.phantom.span import Span

#: Tracers that a scan may be of although its metadata say FDG.
OTHER_TRACERS = ("raclopride", "water", "FLT", "FDOPA")  # one more would change which scan a seed gives

_PARAVENOUS = Span((0.4, 0.9))
_DOSES = (1 / 37, 37.0, 0.1, 10.0)
_AXES = ((0, 2, 1), (1, 0, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1))  # all but the right order of z, y, x


@dataclass(frozen=True)
class Fault:
    """Something wrong with a scan.

    Attributes
    ----------
    kind
        One of `FAULTS`.
    name
        What exactly is wrong, for example ``"units: x 1000"``.
    factor
        Factor by which every value is too high; zero for an image without activity.
    dose
        Factor by which the stated dose is too high.
    axes
        Order in which the image's axes (z, y, x) were written.
    """

    kind: str
    name: str
    factor: float = 1.0
    dose: float = 1.0
    axes: tuple[int, int, int] = (0, 1, 2)


def draw_fault(seed: int, population: Source, kind: str) -> tuple[Draw, Fault]:
    """Draw a scan and what is wrong with it.

    Parameters
    ----------
    seed
        Seed of `population.draw`.
    population
        Domain of the scan but for its fault, or several, such as laboratories.
    kind
        One of `FAULTS`: ``"units"`` (kBq/mL for Bq/mL or the reverse), ``"axes"`` (written in another order),
        ``"paravenous"`` (40-90 % of the dose in a depot that empties slowly), ``"tracer"`` (another tracer that is
        called FDG), ``"empty"`` (no activity in any voxel) or ``"dose"`` (stated in mCi for MBq, or off by ten).

    Returns
    -------
    The scan, in which a wrong injection or tracer is simulated already, and the fault. `simulate_fault` and
    `simulate_fault_coarse` apply wrong units, axes and doses.

    Raises
    ------
    ConfigurationError
        If there is no such kind.
    """
    if kind not in FAULTS:
        raise ConfigurationError(f"there is no fault {kind!r}.", hint=f"Use one of {', '.join(FAULTS)}.")
    domain = population.of(seed)
    rng = np.random.default_rng(np.random.SeedSequence([domain.stream, seed, list(FAULTS).index(kind)]))
    return FAULTS[kind](seed, domain, rng)


def simulate_fault(seed: int, population: Source, kind: str, *, device: str = "cpu") -> tuple[str, SimulatedScan]:
    """Name of a fault and the scan that has it; arguments are those of `draw_fault`, the truth is that of the body."""
    drawn, fault = draw_fault(seed, population, kind)
    scan = simulate(*drawn, device=device)
    truth = replace(
        scan.truth,
        labels=scan.truth.labels.transpose(fault.axes),
        maps={name: image.transpose(fault.axes) for name, image in scan.truth.maps.items()},
    )
    activity = np.float32(fault.factor) * scan.activity.transpose(0, *(1 + axis for axis in fault.axes))
    grid, mouse = _transposed(scan.grid, fault), _misdosed(scan.mouse, fault)
    return fault.name, replace(scan, mouse=mouse, grid=grid, activity=activity, truth=truth)


def simulate_fault_coarse(seed: int, population: Source, kind: str, *, device: str = "cpu") -> tuple[str, CoarseScan]:
    """Do the same as `simulate_fault`, on the coarse grid."""
    drawn, fault = draw_fault(seed, population, kind)
    scan = simulate_coarse(*drawn, device=device)
    order = (0, *(1 + axis for axis in fault.axes))
    activity, fractions = (image.permute(order).contiguous() for image in (scan.activity, scan.fractions))
    grid, mouse = _transposed(scan.grid, fault), _misdosed(scan.mouse, fault)
    activity *= fault.factor / fault.dose  # activity is in SUV, which the stated dose decides
    return fault.name, replace(scan, mouse=mouse, grid=grid, activity=activity, fractions=fractions)


def _misdosed(mouse: Mouse, fault: Fault) -> Mouse:
    """The mouse with the dose that the metadata of the file state."""
    return replace(mouse, injected_activity=fault.dose * mouse.injected_activity)


def _transposed(grid: Grid, fault: Fault) -> Grid:
    """The grid as the metadata of the file give it: the voxel counts of the file, the voxel size of the scanner."""
    z, y, x = (grid.shape[axis] for axis in fault.axes)
    return replace(grid, shape=(z, y, x))


def _units(seed: int, population: Population, rng: np.random.Generator) -> tuple[Draw, Fault]:
    factor = float(rng.choice([1e-3, 1e3]))
    return draw(seed, population), Fault("units", f"units: x {factor:g}", factor=factor)


def _axes(seed: int, population: Population, rng: np.random.Generator) -> tuple[Draw, Fault]:
    order = _AXES[int(rng.integers(len(_AXES)))]
    return draw(seed, population), Fault("axes", f"axes: {''.join('zyx'[axis] for axis in order)}", axes=order)


def _paravenous(seed: int, population: Population, rng: np.random.Generator) -> tuple[Draw, Fault]:
    fraction = _PARAVENOUS.draw(rng)
    injection = replace(population.injection, paravenous=Span((fraction, fraction)))
    drawn = draw(seed, replace(population, injection=injection))
    return drawn, Fault("paravenous", f"paravenous: {100 * fraction:.0f} %")


def _tracer(seed: int, population: Population, rng: np.random.Generator) -> tuple[Draw, Fault]:
    name = str(rng.choice(OTHER_TRACERS))
    drawn = draw(seed, replace(population, tracer=name))
    called = replace(drawn.mouse.tracer, name="FDG")
    return drawn._replace(mouse=replace(drawn.mouse, tracer=called)), Fault("tracer", f"tracer: {name}")


def _empty(seed: int, population: Population, _rng: np.random.Generator) -> tuple[Draw, Fault]:
    return draw(seed, population), Fault("empty", "empty: no activity", factor=0.0)


def _dose(seed: int, population: Population, rng: np.random.Generator) -> tuple[Draw, Fault]:
    factor = float(rng.choice(_DOSES))
    return draw(seed, population), Fault("dose", f"dose: x {factor:.3g}", dose=factor)


#: Kinds of faults, each with the function that draws it.
FAULTS: Mapping[str, Callable[[int, Population, np.random.Generator], tuple[Draw, Fault]]] = {
    "units": _units,
    "axes": _axes,
    "paravenous": _paravenous,
    "tracer": _tracer,
    "empty": _empty,
    "dose": _dose,
}
