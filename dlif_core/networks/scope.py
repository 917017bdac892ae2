"""Whether a scan is of the kind that a trained model knows: in scope, doubtful or out of scope, with reasons.

Metadata, units, voxels and frames are checked against fixed limits (`precheck`, `check_image`). After the prediction,
features of image, curve, tissues and fit are compared with those of sound scans of the population that the networks
were trained on, aspect by aspect: the distance is Mahalanobis' over the features that the scan shows, with robust
centre and spread and a shrunk correlation matrix. How the animal lies is judged by `orientation`. Limits are
quantiles of distances that were measured by cross-validation, with a margin, because sound scans will differ a little
from simulated ones. No faulty scan is needed to fit it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.networks.ensemble import EnsemblePrediction, predict_ensemble
from dlif_core.networks.orientation import Orientation, fit_orientation, reduced_image, rounded
from dlif_core.networks.prediction import Prediction
from dlif_core.networks.scope_checks import check_image, precheck
from dlif_core.networks.scope_features import Seen, scan_features
from dlif_core.networks.training_run import Source
from dlif_core.networks.verdict import Verdict, worst
from dlif_core.networks.weight_map import TissueNetwork

__all__ = ["Scope", "Sound", "Verdict", "check_image", "fit_scope", "precheck", "sound_scan", "worst"]

Array = NDArray[np.float64]

_FEWEST_SCANS, _FOLDS = 20, 5
# share of sound scans of the population that lie within a limit, and the room beyond it
_WITHIN, _ROOM = 0.98, 1.15
# distance above which a scan is out of scope, in units of the limit
_FAR = 1.5
_SHRINKAGE, _SMALLEST = 0.1, 0.02
# a feature counts as so many spreads from its centre at most, in the fit and in a check
_CLIPPED, _LARGEST = 4.0, 30.0
_NAMED = 2  # features that a reason names


@dataclass(frozen=True, eq=False)
class Domain:
    """Where the features of one aspect lie in sound scans.

    Attributes
    ----------
    names
        Of the features.
    centre, spread
        Median and robust standard deviation, shape (features,).
    correlation
        Shrunk, shape (features, features).
    limit
        Largest root mean square distance of a scan that is in scope.
    """

    names: tuple[str, ...]
    centre: Array
    spread: Array
    correlation: Array
    limit: float

    def deviations(self, features: Mapping[str, float]) -> Array:
        """Features as spreads from their centres, shape (features,); NaN for what the scan does not show."""
        values = np.array([features.get(name, np.nan) for name in self.names])
        return np.clip((values - self.centre) / self.spread, -_LARGEST, _LARGEST)

    def distance(self, features: Mapping[str, float]) -> float:
        """Root mean square of the decorrelated deviations that the scan shows."""
        deviations = self.deviations(features)
        shown = np.isfinite(deviations)
        if not shown.any():
            return 0.0
        kept = deviations[shown]
        return float(np.sqrt(kept @ np.linalg.solve(self.correlation[np.ix_(shown, shown)], kept) / len(kept)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        numbers = {name: rounded(getattr(self, name)) for name in ("centre", "spread", "correlation")}
        return {"names": list(self.names), **numbers, "limit": self.limit}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Domain:
        """Inverse of `to_dict`."""
        centre, spread, correlation = (np.array(kept[name]) for name in ("centre", "spread", "correlation"))
        return cls(tuple(kept["names"]), centre, spread, correlation, float(kept["limit"]))


@dataclass(frozen=True, eq=False)
class Sound:
    """What `fit_scope` needs of a sound scan.

    Attributes
    ----------
    features
        By aspect and name.
    image
        Reduced, for the orientation.
    """

    features: Mapping[str, Mapping[str, float]]
    image: Array


def sound_scan(
    prediction: Prediction | EnsemblePrediction, activity: torch.Tensor, timing: FrameTiming, body_weight: float
) -> Sound:
    """Features of a scan and its prediction; arguments as of `Scope.check`."""
    return Sound(scan_features(Seen(prediction, activity, timing, body_weight)), reduced_image(activity, timing))


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
            aspect: domain.distance(scan.features[aspect]) / domain.limit for aspect, domain in self.domains.items()
        }

    def _verdicts(self, features: Mapping[str, Mapping[str, float]]) -> Iterator[Verdict]:
        for aspect, domain in self.domains.items():
            distance = domain.distance(features[aspect]) / domain.limit
            reason = _WORDS[aspect](_described(domain, features[aspect]))
            yield _graded(distance, reason)

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


def fit_scope(networks: Sequence[TissueNetwork], scans: Source, progress: Callable[[int], None] | None = None) -> Scope:
    """Fit the scope of networks to sound scans.

    Parameters
    ----------
    networks
        Trained.
    scans
        Sound examples of the population that the networks were trained on, none of which they were trained on.
    progress
        Called with the number of scans done after each.

    Raises
    ------
    ConfigurationError
        If there are fewer than 20 scans.
    """
    rows = []
    for index in range(len(scans)):
        scan = scans[index]
        prediction = predict_ensemble(networks, scan.activity, scan.timing, scan.body_weight)
        rows.append(sound_scan(prediction, scan.activity, scan.timing, scan.body_weight))
        if progress:
            progress(index + 1)
    return scope_of(rows)


def scope_of(rows: Sequence[Sound]) -> Scope:
    """Fit the scope to the features of sound scans; raises as `fit_scope`."""
    if len(rows) < _FEWEST_SCANS:
        raise ConfigurationError(
            f"the scope of a model can't be told from {len(rows)} scans.", hint=f"Give at least {_FEWEST_SCANS}."
        )
    domains = {aspect: _fit_domain([row.features[aspect] for row in rows]) for aspect in rows[0].features}
    return Scope(domains, fit_orientation([row.image for row in rows]), len(rows))


def _folds(items: Sequence[Any]) -> Iterator[tuple[list[Any], list[Any]]]:
    """What is fitted to, and what is judged by it, for every fold."""
    for fold in range(_FOLDS):
        yield (
            [item for index, item in enumerate(items) if index % _FOLDS != fold],
            [item for index, item in enumerate(items) if index % _FOLDS == fold],
        )


def _fit_domain(rows: Sequence[Mapping[str, float]]) -> Domain:
    distances = [_domain(kept).distance(row) for kept, held in _folds(rows) for row in held]
    fitted = _domain(rows)
    limit = _ROOM * float(np.quantile(distances, _WITHIN))
    return Domain(fitted.names, fitted.centre, fitted.spread, fitted.correlation, limit)


def _domain(rows: Sequence[Mapping[str, float]]) -> Domain:
    names = tuple(rows[0])
    values = np.array([[row[name] for name in names] for row in rows])
    centre = np.nanmedian(values, axis=0)
    robust = 1.4826 * np.nanmedian(np.abs(values - centre), axis=0)
    spread = np.maximum(robust, 0.5 * np.nanstd(values, axis=0)) + 1e-6
    deviations = np.clip((values - centre) / spread, -_CLIPPED, _CLIPPED)
    return Domain(names, centre, spread, _shrunk_correlation(deviations), 1.0)


def _shrunk_correlation(deviations: Array) -> Array:
    """Second moments over the scans that show both features, shrunk towards independence, positive definite."""
    shown = np.isfinite(deviations).astype(float)
    filled = np.nan_to_num(deviations)
    moments = filled.T @ filled / np.maximum(shown.T @ shown, 1.0)
    shrunk = (1.0 - _SHRINKAGE) * moments + _SHRINKAGE * np.eye(len(moments))
    values, vectors = np.linalg.eigh(shrunk)
    return np.asarray((vectors * np.maximum(values, _SMALLEST)) @ vectors.T)


def _turned(margin: float) -> float:
    """Distance of an orientation: 1 where the image looks like a mouse that lies otherwise as much."""
    return max(0.0, 1.0 - margin)


def _graded(distance: float, reason: str) -> Verdict:
    if distance <= 1.0:
        return Verdict(score=distance)
    return Verdict("out of scope" if distance > _FAR else "doubtful", (reason,), distance)


def _described(domain: Domain, features: Mapping[str, float]) -> str:
    """The features that deviate most, in words."""
    deviations = np.nan_to_num(np.abs(domain.deviations(features)))
    order = np.argsort(-deviations)[:_NAMED]
    return ", ".join(
        f"{domain.names[i]} is {np.exp(features[domain.names[i]] - domain.centre[i]):.2g} times the usual"
        for i in order
    )


_WORDS: Mapping[str, Callable[[str], str]] = {
    "dose": lambda what: f"{what}: was part of the dose given beside the vein, or is the injected activity wrong?",
    "distribution": lambda what: f"activity is distributed unlike FDG in a mouse ({what}): is the tracer FDG?",
    "curve": lambda what: f"the blood curve is unlike that of an FDG bolus ({what}).",
    "tissues": lambda what: f"the tissues take up tracer unlike FDG ({what}): is the tracer FDG?",
    "fit": lambda what: f"the networks explain the image badly ({what}).",
    "body": lambda what: f"the body has an unusual shape ({what}): are the axes in order, and is it one mouse?",
}
