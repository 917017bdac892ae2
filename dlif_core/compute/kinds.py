"""The registry of kinds of clusters."""

from __future__ import annotations

from dlif_core.compute.address import ADDRESS
from dlif_core.compute.kind import ClusterKind
from dlif_core.compute.local import LOCAL
from dlif_core.compute.slurm import SLURM
from dlif_core.registry import Registry

#: Kinds by name; other packages add theirs by entry points of the group ``dlif.clusters``.
KINDS: Registry[ClusterKind] = Registry("kind of cluster", "dlif.clusters", (LOCAL, SLURM, ADDRESS))
