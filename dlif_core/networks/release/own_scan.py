"""Scans with known whole blood, and how many animals with blood serve for what."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import ConfigurationError
from dlif_core.networks.calibration.calibration import LEVEL
from dlif_core.networks.calibration.conformal import fewest_scores
from dlif_core.networks.training.examples import Example
from dlif_core.shown import counted

Array = NDArray[np.float64]

#: What animals with blood serve for: a correction and a calibration for the site, or training of the networks before.
Use = Literal["site", "training"]

#: Fewest animals for each use: so many give a band, and half of those that train are kept for it.
FEWEST: dict[Use, int] = {"site": fewest_scores(LEVEL), "training": 2 * fewest_scores(LEVEL)}


class WholeBlood(NamedTuple):
    """Curve of arterial whole blood, piecewise linear.

    Attributes
    ----------
    time
        Shape (points,) [s].
    values
        Shape (points,) [SUV].
    """

    time: Array
    values: Array


class OwnScan(NamedTuple):
    """A scan with known whole blood.

    Attributes
    ----------
    animal
        Name of the animal, the same in all its scans.
    name
        Name of the scan.
    example
        The scan as an example without tissues and displacement, which are unknown.
    blood
        Curve of which the example holds the frame averages; None if only these are known.
    """

    animal: str
    name: str
    example: Example
    blood: WholeBlood | None = None


def use_of(animals: Collection[str]) -> Use:
    """What scans of these animals serve for; an animal may occur several times.

    Raises
    ------
    ConfigurationError
        If there are too few animals.
    """
    number = len(set(animals))
    if number >= FEWEST["training"]:
        return "training"
    if number >= FEWEST["site"]:
        return "site"
    raise ConfigurationError(
        f"scans of {counted(number, 'animal')} have arterial blood that can be used; {FEWEST['site']} animals "
        f"calibrate a model for a laboratory, {FEWEST['training']} train it further.",
        where="own scans",
        hint="Use the model as it is, or bring blood of more animals; several scans of an animal count as one.",
    )
