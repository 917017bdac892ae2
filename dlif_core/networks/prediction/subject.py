"""The subject of a model: its species, and the grid and body weight at which the networks see one.

Networks know lengths in voxels only. A human on a grid ten times as coarse as a mouse's has its heart and vessels in
about as many voxels, so that one kind of network reads both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlif_core.errors import ConfigurationError


@dataclass(frozen=True)
class Subject:
    """A species as the networks see it.

    Attributes
    ----------
    species, plural
        Name of the species, and of several.
    voxel
        Edge length of the networks' voxels [mm].
    body_weight
        Usual body weight, to which that of a scan is related [kg].
    """

    species: str
    plural: str
    voxel: float
    body_weight: float


MOUSE = Subject("mouse", "mice", voxel=1.0, body_weight=0.025)
HUMAN = Subject("human", "humans", voxel=10.0, body_weight=75.0)

#: Subjects by species.
SUBJECTS: Mapping[str, Subject] = {subject.species: subject for subject in (MOUSE, HUMAN)}


def subject_of(species: str) -> Subject:
    """Subject of a species.

    Raises
    ------
    ConfigurationError
        If networks know no such species.
    """
    if species not in SUBJECTS:
        raise ConfigurationError(
            f"networks know no species {species!r}.", where="species", hint=f"Use one of {', '.join(SUBJECTS)}."
        )
    return SUBJECTS[species]
