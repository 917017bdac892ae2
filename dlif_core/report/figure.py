"""Figures as inline SVG: one style, and the same bytes for the same data."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterable
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

#: Okabe and Ito's palette, told apart with every common colour vision; yellow is left out, it vanishes on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, GREY, RULE = "#1f2933", "#66727f", "#d8dee4"

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": GREY,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "savefig.transparent": True,
    # A name of a region is a name, though it has a dollar sign.
    "text.parse_math": False,
    # Text stays text: small, searchable, in the page's own font.
    "svg.fonttype": "none",
    "svg.hashsalt": "dlif",
}
_PIXELS_PER_INCH = 96


def draw(width: float, height: float, paint: Callable[[Figure], None], title: str) -> Markup:
    """An inline SVG figure.

    Parameters
    ----------
    width, height
        Size [inch]; on the page the figure shrinks with its column.
    paint
        Draws into the figure it is given.
    title
        What the figure shows, for those who can't see it.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure)
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _inline(buffer.getvalue(), title, width)


def save(path: Path, width: float, height: float, paint: Callable[[Figure], None]) -> None:
    """Write a figure as a file of its own, SVG or PNG by its name; the parameters are those of `draw`."""
    with matplotlib.rc_context(_STYLE | {"savefig.transparent": False}):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure)
        figure.savefig(path, dpi=150)


_svg = re.compile(r'<svg[^>]*viewBox="([^"]+)"[^>]*>(.*)</svg>', re.DOTALL)
_element_id = re.compile(r' id="[A-Za-z]+[\w.]*_\d+"')
_definition = re.compile(r'<clipPath id="(\w+)">(.*?)</clipPath>|<path id="(\w+)"(.*?)/>', re.DOTALL)


def _inline(document: str, title: str, width: float) -> Markup:
    """The SVG element without prologue and namespaces, which HTML doesn't need, and without ids that repeat on a page.

    The ids left over are digests of what they name: where two figures share an id, they share its content.
    """
    match = _svg.search(document)
    assert match is not None, "matplotlib's SVG has no viewBox"
    body = _with_stable_ids(_element_id.sub("", match[2]))
    pixels = round(width * _PIXELS_PER_INCH)
    return Markup(
        f'<svg role="img" aria-label="{escape(title)}" viewBox="{match[1]}" style="max-width:{pixels}px">{body}</svg>'
    )


def _with_stable_ids(body: str) -> str:
    """Ids made from what they name, as it is written.

    Matplotlib makes them from unrounded coordinates, whose last digits vary with the layout solver's order.
    """
    for clip, clipped, marker, drawn in _definition.findall(body):
        digest = hashlib.sha256((clipped or drawn).encode()).hexdigest()[:12]
        body = re.sub(rf"\b{clip or marker}\b", f"d{digest}", body)
    return body


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, in order."""
    return dict(zip(names, cycle(PALETTE), strict=False))


def logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    """Logarithmic scale with ticks at 1, 2 and 5, labelled with plain numbers."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def legend_above(figure: Figure, axes: Axes, columns: int = 8) -> None:
    """One legend for the whole figure, above the panels, from the labels of one of them."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=columns)
