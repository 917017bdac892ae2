"""Calibrated uncertainty of a predicted curve: a band, samples of curves, and intervals of area, peak and Ki.

Scans with known blood are divided. To one part are fitted the expected size of errors (`error_scale`) and their
correlation over time: the second moments of normalised errors on a time grid relative to the arrival of the bolus, as a
few common factors and an independent error of each node, so that they apply to any frame schedule. The other part gives
conformal scores. The band contains the frame averages of the whole scan at once with the stated probability, over scans
exchangeable with those of the calibration. Samples are scaled such that the band contains the same share of them as of
scans.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.networks.calibration.cases import CalibrationCase, calibration_case, predicted_curve
from dlif_core.networks.calibration.conformal import conformal_quantile, group_weights, refusal
from dlif_core.networks.calibration.error_scale import ErrorScale, fit_scale
from dlif_core.networks.calibration.metrics import KI_TISSUES, SCORES, area_and_peak, influx_ratios, log_error
from dlif_core.networks.prediction.continuous import ContinuousCurve, continuous_curve
from dlif_core.networks.prediction.ensemble import EnsemblePrediction
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.training.run import ExampleSource
from dlif_core.networks.training.scan_work import Mapper, in_turn

Array = NDArray[np.float64]

#: Level of bands and intervals unless another is asked for.
LEVEL = 0.9

# fewest scans to which a scale is fitted, and their share of all
_FEWEST_FITTED, _FITTED_SHARE = 30, 0.4
#: Fewest scans from which a calibration of its own is made.
FEWEST_SCANS = math.ceil(_FEWEST_FITTED / _FITTED_SHARE)
# time grid of the errors [s after arrival]
_NODES = np.array(
    [-40.0, -10.0]
    + [5.0 * k for k in range(12)]
    + [60.0, 75.0, 90.0, 105.0, 120.0, 150.0, 180.0, 240.0, 300.0, 450.0, 600.0, 900.0]
    + [1200.0, 1500.0, 1800.0, 2100.0, 2400.0, 2700.0, 3300.0]
)
_FACTORS = 6
# largest logarithm of a factor by which a metric may be off: of a curve of zeros nothing is known
_FARTHEST = 50.0
# samples for each scan by which their spread is compared with the band
_SAMPLES = 50


class CalibratedCurve(NamedTuple):
    """A curve with its uncertainty.

    Attributes
    ----------
    time
        Time points, shape (points,) [s].
    whole_blood
        Whole-blood curve, shape (points,) [SUV].
    scale
        Expected size of its error, shape (points,) [SUV].
    lower, upper
        Limits of the band, shape (points,) [SUV]; None if the calibration is too small for it.
    samples
        Samples of whole curves, shape (samples, points) [SUV].
    level
        Probability of the band and of each interval.
    intervals
        (lower, upper) of ``auc`` up to the end of the scan [SUV·min], ``peak`` [SUV] and ``Ki <tissue>`` of an FDG
        tissue relative to that by the true curve; those for which the calibration is too small are missing.
    refused
        Reason why there is no band; empty if there is one.
    """

    time: Array
    whole_blood: Array
    scale: Array
    lower: Array | None
    upper: Array | None
    samples: Array
    level: float
    intervals: dict[str, tuple[float, float]]
    refused: str


@dataclass(frozen=True, eq=False)
class Calibration:
    """Uncertainty of the predictions of an ensemble, as scans with known blood show it.

    Attributes
    ----------
    scale
        Expected size of the errors.
    factors, own
        Common factors of normalised errors, shape (factors, nodes), and the standard deviation of the independent error
        of each node, shape (nodes,).
    inflation
        Factor on both, such that the band contains the same share of samples as of scans.
    scores
        Conformal scores of the calibration scans, by one of `metrics.SCORES`.
    population
        Description of the calibration scans.
    weights
        Weight of each score, see `conformal.group_weights`; metrics that aren't named have scores of equal weight.
    """

    scale: ErrorScale
    factors: Array
    own: Array
    inflation: float
    scores: Mapping[str, Array]
    population: str
    weights: Mapping[str, Array] = field(default_factory=dict)

    def curve(
        self, prediction: EnsemblePrediction, samples: int = 64, level: float = LEVEL, seed: int = 0
    ) -> CalibratedCurve:
        """The continuous curve of a prediction with its uncertainty.

        Parameters
        ----------
        prediction
            Prediction of the ensemble that was calibrated.
        samples
            Number of samples.
        level
            Probability of the band and of each interval.
        seed
            Seed of the samples.
        """
        curve = predicted_curve(prediction)
        scale = self.scale.at(prediction, curve)
        lower = upper = None
        refused = self.refusal("band", level)
        if not refused:
            half = self._quantile("band", level) * scale
            lower, upper = np.maximum(curve.values - half, 0.0), curve.values + half
        errors = self.inflation * self._sampled_errors(curve, samples, np.random.default_rng(seed))
        return CalibratedCurve(
            time=curve.time,
            whole_blood=curve.values,
            scale=scale,
            lower=lower,
            upper=upper,
            samples=np.maximum(curve.values + scale * errors, 0.0),
            level=level,
            intervals=self._intervals(curve, scale, level),
            refused=refused,
        )

    def refusal(self, metric: str, level: float) -> str:
        """Reason why there is no band or interval of a metric at a level; empty if there is one."""
        scores = self.scores.get(metric, np.empty(0))
        return refusal(round(self.weights.get(metric, np.ones(len(scores))).sum()), level)

    def _quantile(self, metric: str, level: float) -> float:
        return conformal_quantile(self.scores[metric], level, self.weights.get(metric))

    def recalibrated(
        self, cases: Sequence[CalibrationCase], population: str, groups: Sequence[object] | None = None
    ) -> Calibration:
        """Keep the scale and the correlation of errors and take the scores of other scans, of which a few are enough.

        Parameters
        ----------
        cases
            Scans on which no network was trained or tuned.
        population
            Description of these scans.
        groups
            Animal or laboratory of each scan, which counts as one however many scans it has; left out, each scan does.
        """
        owners = range(len(cases)) if groups is None else groups
        scored = [(_score(self, case), owner) for case, owner in zip(cases, owners, strict=True)]
        scores, weights = {}, {}
        for name in SCORES:
            known = sorted((score[name], place) for place, (score, _) in enumerate(scored) if np.isfinite(score[name]))
            scores[name] = np.array([value for value, _ in known])
            if groups is not None:
                weights[name] = group_weights([owners[place] for _, place in known])
        found = replace(self, scores=scores, weights=weights, population=population, inflation=1.0)
        return replace(found, inflation=_inflation(found, cases))

    def _intervals(self, curve: ContinuousCurve, scale: Array, level: float) -> dict[str, tuple[float, float]]:
        centres, sizes = area_and_peak(curve), _relative_sizes(self, curve, scale)
        found = {}
        for name in (name for name in sizes if not self.refusal(name, level)):
            reach = math.exp(min(self._quantile(name, level) * sizes[name], _FARTHEST))
            centre = centres.get(name, 1.0)
            found[name] = (centre / reach, centre * reach)
        return found

    def _sampled_errors(self, curve: ContinuousCurve, samples: int, rng: np.random.Generator) -> Array:
        """Normalised errors on the curve's time grid, shape (samples, points), without inflation."""
        common = rng.standard_normal((samples, len(self.factors))) @ self.factors
        nodes = common + self.own * rng.standard_normal((samples, len(_NODES)))
        return np.asarray(nodes @ _between_nodes(curve).T)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return {
            "scale": self.scale.to_dict(),
            "nodes": _NODES.tolist(),
            "factors": self.factors.tolist(),
            "own": self.own.tolist(),
            "inflation": self.inflation,
            "scores": {name: scores.tolist() for name, scores in self.scores.items()},
            "population": self.population,
            **({"weights": {name: each.tolist() for name, each in self.weights.items()}} if self.weights else {}),
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Calibration:
        """Read what `to_dict` wrote.

        Raises
        ------
        ConfigurationError
            If the calibration was made on another time grid.
        ValueError
            If the numbers are not those of a calibration.
        """
        if not np.array_equal(kept["nodes"], _NODES):
            raise ConfigurationError(
                "the calibration is on another time grid.", hint="Calibrate the model again with this version."
            )
        factors, own = np.array(kept["factors"], dtype=float), np.array(kept["own"], dtype=float)
        if factors.ndim != 2 or factors.shape[1:] != _NODES.shape or own.shape != _NODES.shape:
            raise ValueError("factors of errors need a number for each node")
        return cls(
            scale=ErrorScale.from_dict(kept["scale"]),
            factors=factors,
            own=own,
            inflation=float(kept["inflation"]),
            scores={name: np.array(scores, dtype=float) for name, scores in kept["scores"].items()},
            population=kept["population"],
            weights={name: np.array(each, dtype=float) for name, each in kept.get("weights", {}).items()},
        )


def calibrate(
    networks: Sequence[TissueNetwork],
    examples: ExampleSource,
    population: str,
    mapper: Mapper = in_turn,
) -> Calibration:
    """Calibrate an ensemble on scans with known blood.

    Parameters
    ----------
    networks
        Members of the ensemble.
    examples
        Scans on which none of them was trained or chosen, in an order that is independent of their errors.
    population
        Description of the scans.
    mapper
        Runs the work on each scan.

    Raises
    ------
    ConfigurationError
        If there are too few scans to fit a scale.
    """
    cases = list(mapper(partial(calibration_case, networks, examples), len(examples)))
    return fit_calibration(cases, population)


def recalibrate(
    base: Calibration,
    networks: Sequence[TissueNetwork],
    examples: ExampleSource,
    population: str,
    mapper: Mapper = in_turn,
) -> Calibration:
    """The calibration of another ensemble with the scores of this one; parameters are those of `calibrate`.

    Expected sizes of errors are those of the base, without the features that mean something else here: body weight,
    and how far networks differ if there is one only.
    """
    cases = list(mapper(partial(calibration_case, networks, examples), len(examples)))
    unlike = ("body weight", "spread") if len(networks) == 1 else ("body weight",)
    return replace(base, scale=base.scale.without(*unlike)).recalibrated(cases, population)


def fit_calibration(cases: Sequence[CalibrationCase], population: str) -> Calibration:
    """Calibrate an ensemble by predictions that were made already; see `calibrate`.

    Raises
    ------
    ConfigurationError
        If there are too few scans to fit a scale.
    """
    fitted = int(_FITTED_SHARE * len(cases))
    if fitted < _FEWEST_FITTED:
        raise ConfigurationError(
            f"{len(cases)} scans are too few to learn how errors behave; it takes {FEWEST_SCANS}.",
            hint="Give the calibration of the base model; then 9 scans are enough for a 90 % band.",
        )
    first = cases[:fitted]
    scale = fit_scale([one.prediction for one in first], [one.curve for one in first], [one.errors for one in first])
    residuals = np.stack([_at_nodes(one, scale) for one in first])
    shape = Calibration(scale, *_factored(residuals), 1.0, {}, population)
    return shape.recalibrated(cases[fitted:], population)


def _at_nodes(case: CalibrationCase, scale: ErrorScale) -> Array:
    """Normalised errors on the time grid, constant before the first and after the last known frame."""
    timing, curve, errors = case.prediction.timing, case.curve, case.errors
    relative = _relative(errors, timing, curve, scale.at(case.prediction, curve))
    known = np.isfinite(relative)
    return np.asarray(np.interp(_NODES, timing.mid[known] - curve.arrival, relative[known]))


def _relative(errors: Array, timing: FrameTiming, curve: ContinuousCurve, scale: Array) -> Array:
    """Errors of frame averages over their expected size, shape (..., frames).

    NaN for frames before the curve begins, that is before the injection: nothing is predicted there.
    """
    size = timing.average(curve.time, scale)
    return np.asarray(errors / np.where(size > 0.0, size, np.nan))


def _factored(residuals: Array) -> tuple[Array, Array]:
    """Second moments as common factors and the standard deviation that they leave at each node."""
    moments = residuals.T @ residuals / len(residuals)
    values, vectors = np.linalg.eigh(moments)
    largest = slice(-1, -1 - _FACTORS, -1)
    factors = np.sqrt(np.maximum(values[largest], 0.0))[:, None] * vectors[:, largest].T
    return factors, np.sqrt(np.maximum(np.diag(moments) - (factors**2).sum(axis=0), 0.0))


def _between_nodes(curve: ContinuousCurve) -> Array:
    """Linear interpolation from the nodes to the curve's time grid, shape (points, nodes)."""
    passed = curve.time - curve.arrival
    return np.stack([np.interp(passed, _NODES, unit) for unit in np.eye(len(_NODES))], axis=1)


def _score(calibration: Calibration, case: CalibrationCase) -> dict[str, float]:
    """Conformal scores of a scan; NaN for metrics that its truth does not give."""
    timing, curve, errors = case.prediction.timing, case.curve, case.errors
    scale = calibration.scale.at(case.prediction, curve)
    band = float(np.nanmax(np.abs(_relative(errors, timing, curve, scale))))
    known = np.isfinite(errors)
    if not known.all():  # metrics of the whole curve are unknown
        return {name: float("nan") for name in SCORES} | {"band": band}
    truth = continuous_curve(timing, case.whole_blood, np.zeros(len(timing)))
    own, true = area_and_peak(curve), area_and_peak(truth)
    ratios = {name: own[name] / true[name] for name in own} | influx_ratios(curve, truth, timing)
    sizes = _relative_sizes(calibration, curve, scale)
    return {"band": band} | {name: log_error(ratio) / sizes[name] for name, ratio in ratios.items()}


def _relative_sizes(calibration: Calibration, curve: ContinuousCurve, scale: Array) -> dict[str, float]:
    """Expected size of the relative error of each metric, up to a common factor."""
    steps = np.gradient(curve.time)
    weights = _between_nodes(curve).T @ (steps * scale)
    variance = float(np.sum((calibration.factors @ weights) ** 2) + np.sum((calibration.own * weights) ** 2))
    area = math.sqrt(variance) / max(float(steps @ curve.values), 1e-9)
    top = int(np.argmax(curve.values))
    return {"auc": area, "peak": float(scale[top]) / max(float(curve.values[top]), 1e-9)} | {
        f"Ki {tissue}": area for tissue in KI_TISSUES
    }


def _inflation(calibration: Calibration, cases: Sequence[CalibrationCase]) -> float:
    """Factor on sampled errors for which the band contains the same share of samples as of scans."""
    if calibration.refusal("band", LEVEL):
        return 1.0
    rng, largest = np.random.default_rng(0), []
    for one in cases:
        curve, timing = one.curve, one.prediction.timing
        scale = calibration.scale.at(one.prediction, curve)
        errors = timing.average(curve.time, scale * calibration._sampled_errors(curve, _SAMPLES, rng))
        largest.append(np.nanmax(np.abs(_relative(errors, timing, curve, scale)), axis=1))
    limit = float(np.quantile(np.concatenate(largest), LEVEL))
    return calibration._quantile("band", LEVEL) / limit
