"""A second family of simulated mice, built on the Digimouse label atlas, to test what the first one trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlif_core.lazy import lazy_attribute

if TYPE_CHECKING:
    from dlif_core.phantom.atlas.labels import Atlas, load_atlas
    from dlif_core.phantom.atlas.scan import AtlasScan, AtlasTruth, draw_atlas_scan
    from dlif_core.phantom.atlas.sites import AtlasSite, atlas_site

_HOME = {
    "Atlas": "labels",
    "AtlasScan": "scan",
    "AtlasSite": "sites",
    "AtlasTruth": "scan",
    "atlas_site": "sites",
    "draw_atlas_scan": "scan",
    "load_atlas": "labels",
}

__all__ = ["Atlas", "AtlasScan", "AtlasSite", "AtlasTruth", "atlas_site", "draw_atlas_scan", "load_atlas"]


def __getattr__(name: str) -> Any:
    """Import torch only when something is simulated."""
    return lazy_attribute(__name__, _HOME, name)
