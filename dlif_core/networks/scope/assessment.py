"""Whether a scan is of the kind that a trained model knows: in scope, doubtful or out of scope, with reasons.

Metadata, units, voxels and frames are checked against fixed limits (`precheck`, `check_image`). After the prediction,
features of image, blood curve, tissues and fit are compared with those of sound scans of the population that the
networks were trained on, aspect by aspect (`scope_domains`). How the animal lies is judged by `orientation`. Limits are
quantiles of distances that were measured by cross-validation, for some aspects with a margin. It is fitted to sound
scans alone: what a paravenous injection or exchanged axes do to a scan is computed from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.ensemble import EnsemblePrediction, predict_ensemble
from dlif_core.networks.prediction.predict import Prediction
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.scope.checks import check_image, precheck
from dlif_core.networks.scope.domains import Domain, Features, fit_domain
from dlif_core.networks.scope.features import Seen, paravenous_features, scan_features
from dlif_core.networks.scope.orientation import Orientation, fit_orientation, reduced_image
from dlif_core.networks.scope.verdict import Verdict, worst
from dlif_core.networks.training.run import Source
from dlif_core.networks.training.scan_work import Mapper, in_turn

__all__ = ["Scope", "Sound", "Verdict", "check_image", "fit_scope", "precheck", "sound_scan", "worst"]

Array = NDArray[np.float64]

_FEWEST_SCANS = 20
# distance above which a scan is out of scope, in units of the limit
_FAR = 1.5
# margins of the orientation at which a scan becomes doubtful and out of scope: another one is likelier by so much
_MARGINS = (-0.25, -0.5)
_NAMED = 2  # features that a reason names

#: Aspects: share of sound scans within the limit, and the room beyond it. What depends on anatomy and image quality has
#: more, because these vary more than in any population that was simulated.
_ALLOWED = {
    "injection": (0.97, 1.0),
    "blood": (0.99, 1.0),
    "tissues": (0.98, 1.25),
    "distribution": (0.98, 1.3),
    "fit": (0.98, 1.3),
}


@dataclass(frozen=True, eq=False)
class Sound:
    """What `fit_scope` needs of a sound scan.

    Attributes
    ----------
    features
        By aspect and name.
    paravenous
        Features of the blood as they would be had part of the dose been given beside the vein, for several such parts.
    image
        Reduced, for the orientation.
    """

    features: Mapping[str, Features]
    paravenous: tuple[Features, ...]
    image: Array


def sound_scan(
    prediction: Prediction | EnsemblePrediction, activity: torch.Tensor, timing: FrameTiming, body_weight: float
) -> Sound:
    """Features of a scan and its prediction; arguments as of `Scope.check`."""
    seen = Seen(prediction, activity, timing, body_weight)
    return Sound(scan_features(seen), tuple(paravenous_features(seen)), reduced_image(activity, timing))


@dataclass(frozen=True, eq=False)
class Scope:
    """The kind of scan that a model knows.

    Attributes
    ----------
    domains
        By aspect.
    orientation
        Tells which way the animal lies.
    scans
        Number of sound scans it was fitted to.
    """

    domains: Mapping[str, Domain]
    orientation: Orientation
    scans: int

    def check(
        self,
        prediction: Prediction | EnsemblePrediction,
        activity: torch.Tensor,
        timing: FrameTiming,
        body_weight: float,
    ) -> Verdict:
        """Judge a scan by its image and by what the networks found in it.

        Parameters
        ----------
        prediction
            Of the networks that the scope was fitted with.
        activity
            Shape (frames, z, y, x), voxels of 1 mm [SUV], as the networks took it.
        timing
            Of the frames.
        body_weight
            [kg].
        """
        image = check_image(activity, timing, body_weight)
        if image.state == "out of scope":
            return image
        return worst(image, self.judge(sound_scan(prediction, activity, timing, body_weight)))

    def judge(self, scan: Sound) -> Verdict:
        """Judge a scan by its features."""
        return worst(self._lies(scan.image), *self._verdicts(scan.features))

    def distances(self, scan: Sound) -> dict[str, float]:
        """Distance of a scan from sound ones in units of the limit, by aspect; above 1 it is doubtful."""
        margin, _ = self.orientation.margin(scan.image)
        return {"orientation": _turned(margin)} | {
            aspect: domain.distance(scan.features[_SHOWN_BY.get(aspect, aspect)])
            for aspect, domain in self.domains.items()
        }

    def _verdicts(self, features: Mapping[str, Features]) -> Iterator[Verdict]:
        for aspect, domain in self.domains.items():
            shown = features[_SHOWN_BY.get(aspect, aspect)]
            yield _graded(domain.distance(shown), _WORDS[aspect].format(_described(domain, shown)))

    def _lies(self, image: Array) -> Verdict:
        margin, exchange = self.orientation.margin(image)
        return _graded(
            _turned(margin), f"the image looks more like a mouse with {exchange} exchanged: are its axes in order?"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "scans": self.scans,
            "domains": {aspect: domain.to_dict() for aspect, domain in self.domains.items()},
            "orientation": self.orientation.to_dict(),
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Scope:
        """Inverse of `to_dict`."""
        return cls(
            domains={aspect: Domain.from_dict(domain) for aspect, domain in kept["domains"].items()},
            orientation=Orientation.from_dict(kept["orientation"]),
            scans=kept["scans"],
        )


def fit_scope(networks: Sequence[TissueNetwork], scans: Source, mapper: Mapper = in_turn) -> Scope:
    """Fit the scope of networks to sound scans.

    Parameters
    ----------
    networks
        Trained.
    scans
        Sound examples of scans that the networks are to be used on, none of which they were trained on.
    mapper
        Does what there is to do for each scan.

    Raises
    ------
    ConfigurationError
        If there are fewer than 20 scans that show the bolus arrive.
    """
    rows = mapper(partial(_sound_or_none, networks, scans), len(scans))
    return scope_of([row for row in rows if row is not None])


def _sound_or_none(networks: Sequence[TissueNetwork], scans: Source, index: int) -> Sound | None:
    """What is needed of a scan; None of one that is doubtful by itself, for it doesn't tell what is usual."""
    scan = scans[index]
    if check_image(scan.activity, scan.timing, scan.body_weight).state != "in scope":
        return None
    prediction = predict_ensemble(networks, scan.activity, scan.timing, scan.body_weight)
    return sound_scan(prediction, scan.activity, scan.timing, scan.body_weight)


def scope_of(rows: Sequence[Sound]) -> Scope:
    """Fit the scope to the features of sound scans; raises as `fit_scope`."""
    if len(rows) < _FEWEST_SCANS:
        raise ConfigurationError(
            f"the scope of a model can't be told from {len(rows)} scans.", hint=f"Give at least {_FEWEST_SCANS}."
        )
    domains = {aspect: _fitted(rows, aspect) for aspect in _ALLOWED}
    return Scope(domains, fit_orientation([row.image for row in rows]), len(rows))


def _fitted(rows: Sequence[Sound], aspect: str) -> Domain:
    shown = [row.features[_SHOWN_BY.get(aspect, aspect)] for row in rows]
    faulty = [row.paravenous for row in rows] if aspect == "injection" else None
    return fit_domain(shown, *_ALLOWED[aspect], faulty)


def _turned(margin: float) -> float:
    """Distance of an orientation: 1 and `_FAR` at two margins."""
    doubtful, far = _MARGINS
    return max(0.0, 1.0 + (_FAR - 1.0) * (doubtful - margin) / (doubtful - far))


def _graded(distance: float, reason: str) -> Verdict:
    if distance <= 1.0:
        return Verdict(score=distance)
    return Verdict("out of scope" if distance > _FAR else "doubtful", (reason,), distance)


def _described(domain: Domain, features: Features) -> str:
    """The features that deviate most, in words."""
    deviations = np.nan_to_num(np.abs(domain.deviations(features)))
    order = np.argsort(-deviations)[:_NAMED]
    return ", ".join(
        f"{domain.names[i]} is {np.exp(features[domain.names[i]] - domain.centre[i]):.2g} times the usual"
        for i in order
    )


# features that tell of an aspect, where they have another name
_SHOWN_BY = {"injection": "blood"}

_WORDS = {
    "injection": "the blood curve is low early and falls slowly ({}): was part of the dose given beside the vein?",
    "blood": "the blood curve is unlike that of FDG in a mouse ({}): are tracer, dose and weight right?",
    "tissues": "the tissues take up tracer unlike FDG ({}): is the tracer FDG?",
    "distribution": "activity is distributed unlike FDG in a mouse ({}): is the tracer FDG?",
    "fit": "the networks explain the image badly ({}).",
}
