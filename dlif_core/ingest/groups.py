"""Groups of regions: further regions that are the means of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks.metadata import GROUPS
from dlif_core.errors import InputError
from dlif_core.ingest.reader import IngestedScan
from dlif_core.scan import RegionCurves

Array = NDArray[np.float64]


def with_groups(read: IngestedScan, groups: Mapping[str, Sequence[str]]) -> IngestedScan:
    """Put groups of regions first, each the volume-weighted mean of its members.

    Parameters
    ----------
    read
        A scan with curves of single regions.
    groups
        Patterns (as in file names) over the region names, by the name of the group.

    Returns
    -------
    The scan with the groups followed by the regions, and with findings: a pattern that matches nothing, volumes that
    are unknown.

    Raises
    ------
    InputError
        If a group has the name of a region.
    """
    regions, warnings = _grouped(read.scan.regions, groups)
    measured = read.uncorrected and _grouped(read.uncorrected, groups)[0]
    findings = (GROUPS.found(warning, where=read.scan.regions.source) for warning in warnings)
    scan = replace(read.scan, regions=regions)
    return replace(read, scan=scan, uncorrected=measured, findings=(*read.findings, *findings))


def _grouped(regions: RegionCurves, groups: Mapping[str, Sequence[str]]) -> tuple[RegionCurves, tuple[str, ...]]:
    warnings: list[str] = []
    names: list[str] = []
    curves, volumes = [], []
    for group, patterns in groups.items():
        members = _members(regions.names, group, patterns, warnings)
        if group in regions.names:
            raise InputError(f"the group {group!r} has the name of a region.", where=regions.source, hint="Rename it.")
        if members:
            weight = _weights(regions.volume[members], group, warnings)
            names.append(group)
            curves.append(weight @ regions.activity[members])
            volumes.append(regions.volume[members].sum())
    grouped = RegionCurves(
        names=(*names, *regions.names),
        activity=np.array([*curves, *regions.activity]),
        volume=np.array([*volumes, *regions.volume]),
        source=regions.source,
    )
    return grouped, tuple(warnings)


def _members(names: Sequence[str], group: str, patterns: Sequence[str], warnings: list[str]) -> list[int]:
    matches = {pattern: {i for i, name in enumerate(names) if fnmatchcase(name, pattern)} for pattern in patterns}
    for pattern, found in matches.items():
        if not found:
            warnings.append(f"Region group {group!r}: {pattern!r} matches no region.")
    return sorted(set().union(*matches.values()))


def _weights(volume: Array, group: str, warnings: list[str]) -> Array:
    if not (np.isfinite(volume).all() and volume.sum() > 0):
        warnings.append(f"Region group {group!r}: volumes are unknown, so its curve is the plain mean of its members.")
        volume = np.ones(len(volume))
    return np.asarray(volume / volume.sum())
