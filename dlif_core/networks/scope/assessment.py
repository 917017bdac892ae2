"""The scope of a trained model: whether a scan is in scope, doubtful or out of scope, with reasons.

The question is whether blood can be read from the scan, not whether it was made in a known laboratory. Metadata, units,
voxels and frames are checked against fixed limits (`precheck`, `check_image`). After the prediction, the pools of blood
that the networks found and the fit of the image are compared with those of sound scans of many laboratories, aspect by
aspect (`domains`). A scan of FDG is also compared with FDG: a blood curve unlike that of FDG, or one of which part was
given beside the vein, is out of scope when it is far off. Uptake and distribution unlike FDG only make a scan doubtful:
the curve can be read then, but the tracer may be another one. The orientation of the animal is judged by `orientation`,
faulty frames by `frames`, whether the left ventricle was found by `heart`, and whether the curve is known by `band`.
Limits are quantiles of distances that were measured by cross-validation, for some aspects with a margin. Only sound
scans are needed to fit a scope: the effect of a paravenous injection or of exchanged axes is computed from them.
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
from dlif_core.networks.calibration.calibration import CalibratedCurve, Calibration
from dlif_core.networks.prediction.ensemble import EnsemblePrediction, predict_ensemble
from dlif_core.networks.prediction.predict import Prediction
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.scope.band import band_width, check_band, check_end, fit_band
from dlif_core.networks.scope.checks import check_image, long_gap, precheck
from dlif_core.networks.scope.domains import Domain, FeatureValues, fit_domain
from dlif_core.networks.scope.features import PredictedScan, as_array, paravenous_features, scan_features
from dlif_core.networks.scope.frames import FrameDepartures, FrameLimits, fit_frames, frame_departures
from dlif_core.networks.scope.heart import check_heart, fit_heart, heart_distance, ventricle_volume
from dlif_core.networks.scope.orientation import Orientation, fit_orientation, reduced_image
from dlif_core.networks.scope.verdict import Verdict, worst
from dlif_core.networks.scope.voxels import check_voxels, cleaned
from dlif_core.networks.training.run import ExampleSource
from dlif_core.networks.training.scan_work import Mapper, in_turn
from dlif_core.scan import is_fdg
from dlif_core.shown import counted

__all__ = ["Scope", "ScopeFeatures", "Verdict", "check_image", "fit_scope", "precheck", "scope_features", "worst"]

Array = NDArray[np.float64]

_FEWEST_SCANS = 20
# distance above which a scan is out of scope, in units of the limit
_FAR = 1.5
# margins of the orientation below which a scan is doubtful and out of scope
_MARGINS = (-0.25, -0.5)
_NAMED = 2  # number of features that a reason names
_SAMPLES = 2  # of a curve of which only the band is used

#: Share of sound scans within the limit, and factor on the limit, by aspect. Aspects that depend on anatomy and image
#: quality have more room, because these vary more than in any simulated population.
_ALLOWED = {
    "injection": (0.97, 1.0),
    "blood": (0.99, 1.0),
    "tissues": (0.98, 1.25),
    "distribution": (0.98, 1.3),
    "pools": (0.99, 1.3),
    "fit": (0.98, 1.3),
}

# aspects that only FDG has, and those of which no distance puts a scan out of scope
_OF_FDG = ("injection", "blood", "tissues", "distribution")
_NEVER_REFUSES = ("tissues", "distribution")


@dataclass(frozen=True, eq=False)
class ScopeFeatures:
    """Everything of a scan that the scope check uses.

    Attributes
    ----------
    features
        Features by aspect and name.
    paravenous
        Features of the blood if part of the dose had been given beside the vein, for several such parts.
    image
        Reduced image for the orientation.
    frames
        Departures of the frames from their neighbours.
    ventricle
        Volume of the left ventricle that was found [mm³].
    """

    features: Mapping[str, FeatureValues]
    paravenous: tuple[FeatureValues, ...]
    image: Array
    frames: FrameDepartures
    ventricle: float


def scope_features(prediction: Prediction | EnsemblePrediction, scan: NetworkScan) -> ScopeFeatures:
    """Features of a scan and of the networks' prediction for it."""
    seen = PredictedScan(prediction, scan)
    image = reduced_image(cleaned(scan).activity, scan.timing)
    tissues = torch.as_tensor(prediction.tissues)
    frames = frame_departures(scan, tissues, as_array(prediction.curves))
    paravenous = tuple(paravenous_features(seen))
    return ScopeFeatures(scan_features(seen), paravenous, image, frames, ventricle_volume(tissues))


@dataclass(frozen=True, eq=False)
class Scope:
    """The kinds of scans that a model was made for.

    Attributes
    ----------
    domains
        Distribution of the features of sound scans, by aspect.
    orientation
        Score of the orientation of the animal.
    frames
        Largest departures of frames from their neighbours.
    heart
        Least volume of the left ventricle [mm³], see `heart.ventricle_volume`.
    band
        Largest width of the band relative to the curve, see `band.band_width`.
    scans
        Number of sound scans to which the scope was fitted.
    """

    domains: Mapping[str, Domain]
    orientation: Orientation
    frames: FrameLimits
    heart: float
    band: float
    scans: int

    def check(self, prediction: Prediction | EnsemblePrediction, scan: NetworkScan, tracer: str = "FDG") -> Verdict:
        """Judge a scan by its image and by the networks' prediction.

        Parameters
        ----------
        prediction
            Prediction of the networks with which the scope was fitted.
        scan
            The scan on the networks' grid.
        tracer
            Name of the tracer. Only FDG has a known blood curve and distribution.
        """
        image = check_image(scan)
        if image.state == "out of scope":
            return image
        members = prediction.members if isinstance(prediction, EnsemblePrediction) else (prediction,)
        faulty = long_gap(scan.timing) is not None or any(check_voxels(scan))
        judged = self.judge(scope_features(prediction, scan), tracer, faulty=faulty)
        return worst(image, judged, check_end(members, scan.timing))

    def check_band(self, curve: CalibratedCurve) -> Verdict:
        """Doubt a scan whose curve is hardly known, by the width of its band."""
        return check_band(curve, self.band)

    def judge(self, scan: ScopeFeatures, tracer: str = "FDG", *, faulty: bool = False) -> Verdict:
        """Judge a scan by its features; of one with faulty frames or voxels nobody asks whether its tracer is FDG."""
        of_frames = tuple(self.frames.verdicts(scan.frames))
        faulty = faulty or worst(*of_frames).state == "out of scope"
        of_parts = (check_heart(scan.ventricle, self.heart), *of_frames, self._lies(scan.image))
        left_out = (() if is_fdg(tracer) else _OF_FDG) + (_NEVER_REFUSES if faulty else ())
        return worst(*of_parts, *self._verdicts(scan.features, left_out))

    def distances(self, scan: ScopeFeatures) -> dict[str, float]:
        """Distance of a scan from sound ones in units of the limit, by aspect; above 1 it is doubtful."""
        margin, _ = self.orientation.margin(scan.image)
        parts = {
            "heart": heart_distance(scan.ventricle, self.heart),
            "frames": self.frames.distance(scan.frames),
            "orientation": _turned(margin),
        }
        return parts | {
            aspect: domain.distance(scan.features[_SHOWN_BY.get(aspect, aspect)])
            for aspect, domain in self.domains.items()
        }

    def _verdicts(self, features: Mapping[str, FeatureValues], left_out: Sequence[str]) -> Iterator[Verdict]:
        for aspect, domain in self.domains.items():
            if aspect not in left_out:
                shown = features[_SHOWN_BY.get(aspect, aspect)]
                reason = _WORDS[aspect].format(_described(domain, shown))
                yield _graded(domain.distance(shown), reason, refuses=aspect not in _NEVER_REFUSES)

    def _lies(self, image: Array) -> Verdict:
        margin, exchange = self.orientation.margin(image)
        return _graded(
            _turned(margin), f"the image looks more like a body with {exchange} exchanged: are its axes in order?"
        )

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return {
            "scans": self.scans,
            "domains": {aspect: domain.to_dict() for aspect, domain in self.domains.items()},
            "orientation": self.orientation.to_dict(),
            "frames": self.frames.to_dict(),
            "heart": self.heart,
            "band": self.band,
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Scope:
        """Read what `to_dict` wrote."""
        return cls(
            domains={aspect: Domain.from_dict(domain) for aspect, domain in kept["domains"].items()},
            orientation=Orientation.from_dict(kept["orientation"]),
            frames=FrameLimits.from_dict(kept["frames"]),
            heart=float(kept["heart"]),
            band=float(kept["band"]),
            scans=kept["scans"],
        )


def fit_scope(
    networks: Sequence[TissueNetwork], calibration: Calibration, scans: ExampleSource, mapper: Mapper = in_turn
) -> Scope:
    """Fit the scope of networks to sound scans.

    Parameters
    ----------
    networks
        Trained networks.
    calibration
        Calibration of the networks, which gives the bands.
    scans
        Sound examples of the scans that the networks are made for; none of the networks was trained on them.
    mapper
        Runs the work on each scan.

    Raises
    ------
    ConfigurationError
        If there are fewer than 20 scans that show the bolus arrive.
    """
    found = mapper(partial(_described_if_sound, networks, calibration, scans), len(scans))
    rows = [row for row in found if row is not None]
    return scope_of([features for features, _ in rows], [width for _, width in rows])


def _described_if_sound(
    networks: Sequence[TissueNetwork], calibration: Calibration, scans: ExampleSource, index: int
) -> tuple[ScopeFeatures, float] | None:
    """Features of a scan and the width of its band; None for one whose image alone is doubtful already."""
    scan = scans[index].scan
    if check_image(scan).state != "in scope":
        return None
    prediction = predict_ensemble(networks, scan)
    return scope_features(prediction, scan), band_width(calibration.curve(prediction, _SAMPLES))


def scope_of(rows: Sequence[ScopeFeatures], widths: Sequence[float] = ()) -> Scope:
    """Fit the scope to the features of sound scans, and to the widths of their bands.

    Raises
    ------
    ConfigurationError
        If there are fewer than 20 scans.
    """
    if len(rows) < _FEWEST_SCANS:
        raise ConfigurationError(
            f"the scope of a model can't be fitted to {counted(len(rows), 'scan')}.",
            hint=f"Give at least {_FEWEST_SCANS}.",
        )
    domains = {aspect: _fitted(rows, aspect) for aspect in _ALLOWED}
    return Scope(
        domains=domains,
        orientation=fit_orientation([row.image for row in rows]),
        frames=fit_frames([row.frames for row in rows]),
        heart=fit_heart([row.ventricle for row in rows]),
        band=fit_band(widths),
        scans=len(rows),
    )


def _fitted(rows: Sequence[ScopeFeatures], aspect: str) -> Domain:
    shown = [row.features[_SHOWN_BY.get(aspect, aspect)] for row in rows]
    faulty = [row.paravenous for row in rows] if aspect == "injection" else None
    return fit_domain(shown, *_ALLOWED[aspect], faulty)


def _turned(margin: float) -> float:
    """Distance of an orientation by its margin: 1 and `_FAR` at the margins of `_MARGINS`."""
    doubtful, far = _MARGINS
    return max(0.0, 1.0 + (_FAR - 1.0) * (doubtful - margin) / (doubtful - far))


def _graded(distance: float, reason: str, *, refuses: bool = True) -> Verdict:
    if distance <= 1.0:
        return Verdict(score=distance)
    return Verdict("out of scope" if refuses and distance > _FAR else "doubtful", (reason,), distance)


def _described(domain: Domain, features: FeatureValues) -> str:
    """Describe the features that deviate most."""
    deviations = np.nan_to_num(np.abs(domain.deviations(features)))
    order = np.argsort(-deviations)[:_NAMED]
    return ", ".join(
        f"{domain.names[i]} is {np.exp(features[domain.names[i]] - domain.centre[i]):.2g} times the usual"
        for i in order
    )


# aspects whose features are those of another aspect
_SHOWN_BY = {"injection": "blood"}

_WORDS = {
    "injection": "the blood curve is low early and falls slowly ({}): was part of the dose given beside the "
    "vein, or is a scale or unit of image, dose or weight wrong?",
    "blood": "the blood curve is unlike that of FDG ({}): are tracer, dose and weight right?",
    "tissues": "the tissues take up tracer unlike FDG ({}): is the tracer FDG?",
    "distribution": "activity is distributed unlike FDG ({}): is the tracer FDG?",
    "pools": "the networks find other pools of blood than usual ({}): are heart and large vessels in view?",
    "fit": "the networks explain the image badly ({}).",
}
