"""Orthogonal slices of volumes as small paletted PNG, and a table of voxel status codes."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from dlif_core.kinetics import FitStatus
from dlif_core.report.numbers import Cell, Heading, ReportTable, significant, unit_text
from dlif_core.report.regions import TONES, status_text
from dlif_core.statistics.tables import error_name, parameter_names

Array = NDArray[np.float64]
Position = tuple[int, int, int]

# Palette: colours of values, then the outline of regions, then what has no value.
_LEVELS, _OUTLINE, _NOTHING = 254, 254, 255
_OUTLINE_COLOUR, _NOTHING_COLOUR = (230, 120, 0), (236, 239, 242)
#: Slices are thinned to this many pixels a side: what the page can show, and what keeps it small.
_MOST_PIXELS = 176
_PLANES = ("axial", "coronal", "sagittal")
_AXES = ("z", "y", "x")


@dataclass(frozen=True)
class Pane:
    """One slice: its plane, position and picture.

    Attributes
    ----------
    plane, place
        Name of the plane, such as ``axial``; slice index and position.
    picture
        Data URI.
    width, height
        Size on the page [px], true to the voxel's size.
    across, down
        Where the other two planes cut it [% of width and height].
    """

    plane: str
    place: str
    picture: str
    width: int
    height: int
    across: float
    down: float


@dataclass(frozen=True)
class VolumeView:
    """Three slices of one volume with its colour bar.

    Attributes
    ----------
    title, unit
        Name and unit of the volume.
    panes
        Axial, coronal, sagittal; empty where no voxel has a value.
    bar
        Colour bar, data URI.
    ticks
        Labels of the bar from its upper to its lower end.
    crosshair
        Whether to show where the planes cut each other.
    """

    title: str
    unit: str
    panes: tuple[Pane, ...] = ()
    bar: str = ""
    ticks: tuple[str, ...] = ()
    crosshair: bool = False

    @property
    def height(self) -> int:
        """Height of the tallest pane [px]."""
        return max(pane.height for pane in self.panes)


@dataclass(frozen=True)
class Viewport:
    """Position and size of the slices that are shown.

    Attributes
    ----------
    position
        Indices along z, y, x.
    voxel_size
        Edge lengths of a voxel along z, y, x [mm].
    width, height
        Room for the three slices side by side, and for the tallest [px].
    """

    position: Position
    voxel_size: tuple[float, float, float]
    width: float = 430.0
    height: float = 230.0


def busiest(image: ArrayLike | None, labels: NDArray[np.int32] | None, shape: Position) -> Position:
    """Indices of the planes with most activity, within the regions if there are any.

    Activity above the 99th percentile counts as that, so that the bladder does not decide the planes.
    """
    weight = np.ones(shape) if image is None else np.nan_to_num(np.clip(np.asarray(image, float), 0.0, None))
    weight = np.minimum(weight, np.percentile(weight, 99))
    if labels is not None and (labels > 0).any():
        weight = weight * (labels > 0)
    if np.ptp(weight) == 0:
        return (shape[0] // 2, shape[1] // 2, shape[2] // 2)
    z, y, x = (int(np.argmax(weight.sum(axis=tuple({0, 1, 2} - {axis})))) for axis in range(3))
    return (z, y, x)


def view(
    volume: ArrayLike,
    title: str,
    unit: str,
    viewport: Viewport,
    *,
    colours: str = "viridis",
    inside: NDArray[np.bool_] | None = None,
    labels: NDArray[np.int32] | None = None,
    crosshair: bool = False,
) -> VolumeView:
    """Orthogonal slices of a volume of shape (z, y, x).

    Parameters
    ----------
    volume
        Values; NaN is shown as having none.
    title, unit
        Name and unit of the values.
    viewport
        Position and size of the slices.
    colours
        A matplotlib colour map.
    inside
        Voxels whose values decide the colour limits; all by default. The limits are the 99th percentile and the
        smaller of 0 and the 1st percentile.
    labels
        Regions to outline.
    crosshair
        Whether to show where the planes cut each other.
    """
    values = np.asarray(volume, float)
    counted = values[np.isfinite(values) & (True if inside is None else inside)]
    if len(counted) == 0:
        return VolumeView(title, unit_text(unit))
    low, high = min(0.0, float(np.percentile(counted, 1))), float(np.percentile(counted, 99))
    high = high if high > low else low + 1.0
    palette = _palette(colours)
    panes = tuple(_pane(axis, _levels(values, low, high), labels, palette, viewport) for axis in range(3))
    ticks = tuple(significant(value) for value in (high, 0.5 * (low + high), low))
    return VolumeView(title, unit_text(unit), panes, _bar(palette), ticks, crosshair)


def _levels(values: Array, low: float, high: float) -> NDArray[np.uint8]:
    """Palette indices of values."""
    part = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0.0, 1.0)
    levels = np.round(part * (_LEVELS - 1)).astype(np.uint8)
    levels[~np.isfinite(values)] = _NOTHING
    return levels


def _palette(colours: str) -> NDArray[np.uint8]:
    table = matplotlib.colormaps[colours](np.linspace(0, 1, _LEVELS))[:, :3]
    return np.concatenate([np.round(255 * table), [_OUTLINE_COLOUR, _NOTHING_COLOUR]]).astype(np.uint8)


def _pane(
    axis: int,
    levels: NDArray[np.uint8],
    labels: NDArray[np.int32] | None,
    palette: NDArray[np.uint8],
    viewport: Viewport,
) -> Pane:
    index = viewport.position[axis]
    plane = np.take(levels, index, axis=axis)
    if labels is not None:
        plane = np.where(_edges(np.take(labels, index, axis=axis)), np.uint8(_OUTLINE), plane)
    down, across = (other for other in range(3) if other != axis)
    scale = _pixels_per_mm(levels.shape, viewport)
    millimetres = index * viewport.voxel_size[axis]
    return Pane(
        plane=_PLANES[axis],
        place=f"{_AXES[axis]} = {index} ({millimetres:.0f} mm)",
        # The first row of a picture is its top: y and z point upwards.
        picture=_picture(_thinned(plane)[::-1], palette),
        width=round(scale * levels.shape[across] * viewport.voxel_size[across]),
        height=round(scale * levels.shape[down] * viewport.voxel_size[down]),
        across=100 * (viewport.position[across] + 0.5) / levels.shape[across],
        down=100 - 100 * (viewport.position[down] + 0.5) / levels.shape[down],
    )


def _pixels_per_mm(shape: tuple[int, ...], viewport: Viewport) -> float:
    z, y, x = (count * size for count, size in zip(shape, viewport.voxel_size, strict=True))
    return min(viewport.width / (2 * x + y), viewport.height / max(y, z))


def _edges(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour is in another region."""
    edge = np.zeros(labels.shape, bool)
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return edge


def _thinned(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = (np.linspace(0, n - 1, min(n, _MOST_PIXELS)).round().astype(int) for n in plane.shape)
    return np.asarray(plane[np.ix_(rows, columns)])


def _picture(plane: NDArray[np.uint8], palette: NDArray[np.uint8]) -> str:
    image = Image.fromarray(np.ascontiguousarray(plane), mode="P")
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _bar(palette: NDArray[np.uint8]) -> str:
    return _picture(np.arange(_LEVELS - 1, -1, -1, dtype=np.uint8)[:, None], palette)


def map_views(maps: xr.Dataset, labels: NDArray[np.int32] | None, viewport: Viewport) -> tuple[VolumeView, ...]:
    """Slices of every parameter of a fit, each followed by its standard error."""
    status = maps["status"].to_numpy() if "status" in maps else None
    inside = _inside(status, labels)
    names = parameter_names(maps)
    return tuple(
        view(
            maps[name].to_numpy(), _map_title(maps, name), maps[name].attrs["units"], viewport, colours=c, inside=inside
        )
        for parameter in names
        for name, c in ((parameter, "viridis"), (error_name(maps, parameter), "cividis"))
    )


def _map_title(maps: xr.Dataset, name: str) -> str:
    return str(maps[name].attrs.get("long_name", name))


def _inside(status: NDArray[np.uint8] | None, labels: NDArray[np.int32] | None) -> NDArray[np.bool_] | None:
    """Voxels whose values set the colour limits: fitted, and in a region if there are any."""
    inside = None if status is None else status <= FitStatus.DEGENERATE
    if labels is None or not (labels > 0).any():
        return inside
    return labels > 0 if inside is None else inside & (labels > 0)


def status_table(maps: Mapping[str, xr.Dataset]) -> ReportTable:
    """Number of voxels of each fit with each status."""
    shown = [*(code for code in FitStatus if code is not FitStatus.MASKED), FitStatus.MASKED]
    headings = (Heading("Maps", numeric=False), *(Heading(status_text(code), "voxels") for code in shown))
    rows = tuple(_status_row(fit, dataset["status"].to_numpy(), shown) for fit, dataset in maps.items())
    return ReportTable(headings, rows, "Percentages are of the voxels that are not masked.")


def _status_row(fit: str, status: NDArray[np.uint8], shown: list[FitStatus]) -> tuple[Cell, ...]:
    counts = {code: int((status == code).sum()) for code in shown}
    fitted = max(status.size - counts[FitStatus.MASKED], 1)
    cells = [
        Cell(
            f"{count:,}".replace(",", "\u2009"),
            error="" if code is FitStatus.MASKED else f"{100 * count / fitted:.1f} %",
            tone=TONES[code] if count and code is not FitStatus.CONVERGED else "",
        )
        for code, count in counts.items()
    ]
    return (Cell(fit), *cells)
