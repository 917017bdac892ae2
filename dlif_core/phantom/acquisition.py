"""Scanners, protocols and fields of view, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlif_core.frames import FrameTiming
from dlif_core.phantom.scanner import CROP, MOUSE_FRAMES, NATIVE_VOXEL, Grid, Protocol, Schedule, Triple, frame_timing
from dlif_core.phantom.span import Span
from dlif_core.phantom.tracers import Tracer

# A scan of a short-lived radionuclide ends after so many half-lives
_LONGEST = 6.0


def exactly(grid: Grid) -> tuple[Span, Span, Span]:
    """Ranges of a field of view that leave it as it is."""
    z, y, x = (Span((length, length)) for length in grid.extent)
    return z, y, x


@dataclass(frozen=True)
class AcquisitionRanges:
    """Ranges from which scanners, protocols and fields of view are drawn at random.

    Attributes
    ----------
    resolution
        FWHM of the point spread function across the body [mm].
    axial_ratio
        FWHM along the body relative to that.
    heart_resolution
        FWHM in the heart [mm].
    noise_level
        α [SUV^½·s^½ per native voxel].
    texture, texture_width
        Relative heterogeneity within organs, and its FWHM [mm].
    motion
        Median displacement of a scan's frames relative to that of a usual scan; 0 for a body at rest.
    usual_motion, motion_spread, largest_motion
        Displacement of a frame in a usual scan: median [mm], standard deviation of its logarithm, largest [mm].
    schedules
        Frame schedules, one of which is taken.
    end
        Time after which no frame is complete; infinite for whole schedules [s].
    voxel_size
        Edge length across the body [mm].
    slice_ratio
        Edge length along the body relative to that.
    field_of_view
        Lengths along z, y, x [mm].
    native_voxel
        Voxel to which the noise level refers, along z, y, x [mm].
    finest_sample
        Organs are sampled at least this finely [mm].
    grain, overshoot, scatter, calibration
        What the attributes of `Protocol` of these names are drawn from.
    log_normal
        Probability that noise is log-normal.
    """

    resolution: Span = Span((0.865, 0.865))
    axial_ratio: Span = Span((1.14, 1.14))
    heart_resolution: Span = Span((2.0, 2.0))
    noise_level: Span = Span((1.2, 2.0))
    texture: Span = Span((0.15, 0.15))
    texture_width: Span = Span((3.0, 3.0))
    motion: Span = Span((0.5, 1.65))
    usual_motion: float = 0.27
    motion_spread: float = 0.6
    largest_motion: float = 4.7
    schedules: tuple[Schedule, ...] = (MOUSE_FRAMES,)
    end: Span = Span((np.inf, np.inf), share=0.0, otherwise=np.inf)
    voxel_size: Span = Span((NATIVE_VOXEL[2], NATIVE_VOXEL[2]))
    slice_ratio: Span = Span((NATIVE_VOXEL[0] / NATIVE_VOXEL[2],) * 2)
    field_of_view: tuple[Span, Span, Span] = exactly(CROP)
    native_voxel: Triple = NATIVE_VOXEL
    finest_sample: float = CROP.finest_sample
    grain: Span = Span((1.2, 1.2))
    overshoot: Span = Span((0.0, 0.0))
    scatter: Span = Span((0.0, 0.0))
    calibration: Span = Span((1.0, 1.0))
    log_normal: float = 0.0


def draw_timing(ranges: AcquisitionRanges, tracer: Tracer, rng: np.random.Generator) -> FrameTiming:
    """Draw frames from the schedules, up to an end."""
    schedule = ranges.schedules[int(rng.random() * len(ranges.schedules))]
    return frame_timing(schedule, min(ranges.end.draw(rng), _LONGEST * tracer.half_life))


def draw_acquisition(
    ranges: AcquisitionRanges,
    tracer: Tracer,
    timing: FrameTiming,
    scanner: np.random.Generator,
    motion: np.random.Generator,
) -> tuple[Grid, Protocol]:
    """Draw voxels, resolution, motion and reconstruction."""
    across, along = ranges.resolution.draw(scanner), ranges.axial_ratio.draw(scanner)
    heart, texture, width = (
        span.draw(scanner) for span in (ranges.heart_resolution, ranges.texture, ranges.texture_width)
    )
    protocol = Protocol(
        timing=timing,
        half_life=tracer.half_life,
        resolution=(along * across, across, across),
        heart_resolution=heart,
        texture=texture,
        texture_width=width,
        native_voxel=ranges.native_voxel,
        motion=_motion(ranges, len(timing), motion),
    )
    grid = _grid(ranges, scanner)
    return grid, replace(protocol, **_reconstruction(ranges, scanner))


def _reconstruction(ranges: AcquisitionRanges, scanner: np.random.Generator) -> dict[str, Any]:
    names = ("grain", "overshoot", "scatter", "calibration")
    drawn: dict[str, Any] = {name: getattr(ranges, name).draw(scanner) for name in names}
    return drawn | {"log_normal": bool(scanner.random() < ranges.log_normal)}


def _grid(ranges: AcquisitionRanges, rng: np.random.Generator) -> Grid:
    size = ranges.voxel_size.draw(rng)
    voxel = (size * ranges.slice_ratio.draw(rng), size, size)
    z, y, x = (max(1, round(span.draw(rng) / edge)) for span, edge in zip(ranges.field_of_view, voxel, strict=True))
    return Grid((z, y, x), voxel, ranges.finest_sample)


def _motion(ranges: AcquisitionRanges, frames: int, rng: np.random.Generator) -> tuple[Triple, ...]:
    """Displacement of each frame: any direction, log-normal length."""
    usual = ranges.usual_motion * ranges.motion.draw(rng)
    if usual == 0.0:
        return ()
    length = usual * np.exp(ranges.motion_spread * rng.standard_normal(frames))
    direction = rng.standard_normal((frames, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    moved = np.minimum(length, ranges.largest_motion)[:, None] * direction
    return tuple((float(z), float(y), float(x)) for z, y, x in moved)


#: 29 to 48 frames in 40 to 55 min.
SCHEDULES: tuple[Schedule, ...] = (
    MOUSE_FRAMES,
    ((24, 5.0), (9, 20.0), (10, 300.0)),
    ((30, 2.0), (6, 10.0), (6, 30.0), (5, 300.0), (1, 600.0)),
    ((12, 10.0), (6, 30.0), (5, 60.0), (4, 300.0), (2, 600.0)),
    ((18, 10.0), (6, 20.0), (5, 60.0), (12, 180.0)),
    ((10, 3.0), (12, 5.0), (9, 10.0), (6, 30.0), (4, 60.0), (7, 300.0)),
)


def draw_schedule(rng: np.random.Generator, known: tuple[Schedule, ...] = SCHEDULES) -> Schedule:
    """One of the known schedules, or frames that grow from seconds to minutes over 40 to 60 min."""
    if rng.random() < 0.3:
        return known[int(rng.integers(len(known)))]
    first, last = float(rng.choice([2.0, 3.0, 5.0, 10.0])), float(rng.choice([180.0, 300.0, 600.0]))
    early = min(float(rng.choice([90.0, 120.0, 180.0])), 40 * first)
    end = 60.0 * float(rng.choice([40.0, 45.0, 50.0, 60.0]))
    parts = [(round(early / first), first)]
    done = parts[0][0] * first
    for length, until in ((10.0, 240.0), (30.0, 480.0), (60.0, 900.0), (last, end)):
        count = int((until - done) // length)
        if count > 0 and length > parts[-1][1]:
            parts.append((count, length))
            done += count * length
    return tuple(parts)
