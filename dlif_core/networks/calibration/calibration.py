"""What a predicted curve is worth: a band, curves drawn from its uncertainty, and intervals of area, peak and Ki.

Scans with known blood are divided. One part fits how large errors are expected to be (`error_scale`) and how they hang
together over time: the second moments of normalised errors on a time grid relative to the arrival of the bolus, as a
few common factors and an error of each node, so that they serve any schedule. The other part gives conformal scores.
The band holds the frame averages of the whole scan at once with the stated probability, over scans exchangeable with
those of the calibration. Drawn curves are enlarged or shrunk until the band holds as many of them as it holds scans.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError, CurveError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import FitSettings, fit_regions
from dlif_core.networks.calibration.conformal import conformal_quantile, refusal
from dlif_core.networks.calibration.error_scale import ErrorScale, fit_scale
from dlif_core.networks.prediction.continuous import ContinuousCurve, continuous_curve
from dlif_core.networks.prediction.ensemble import EnsemblePrediction, predict_ensemble
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.training.run import Source
from dlif_core.networks.training.scan_work import Mapper, in_turn
from dlif_core.phantom.physiology import OrganKinetics, organ_curves
from dlif_core.phantom.tracers import FDG
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

Array = NDArray[np.float64]

#: Level of bands and intervals unless another is asked for.
LEVEL = 0.9
#: Tissues whose Ki gets an interval, and the start of the linear phase of their Patlak plots [min].
KI_TISSUES, T_STAR = ("brain", "myocardium"), 10.0

# scans that a scale is fitted to at least, and their share of all
_FEWEST_FITTED, _FITTED_SHARE = 30, 0.4
# time grid of the errors [s after arrival]
_NODES = np.array(
    [-40.0, -10.0]
    + [5.0 * k for k in range(12)]
    + [60.0, 75.0, 90.0, 105.0, 120.0, 150.0, 180.0, 240.0, 300.0, 450.0, 600.0, 900.0]
    + [1200.0, 1500.0, 1800.0, 2100.0, 2400.0, 2700.0, 3300.0]
)
_FACTORS = 6
# curves drawn for each scan to compare their spread with the band
_DRAWN = 50
_MINUTE = 60.0


class CalibratedCurve(NamedTuple):
    """A curve with its uncertainty.

    Attributes
    ----------
    time
        Shape (points,) [s].
    whole_blood
        Shape (points,) [SUV].
    scale
        Expected size of its error, shape (points,) [SUV].
    lower, upper
        Band, shape (points,) [SUV]; None if the calibration is too small for it.
    samples
        Curves drawn from its uncertainty, shape (samples, points) [SUV].
    level
        Probability of the band and of each interval.
    intervals
        (lower, upper) of ``auc`` up to the end of the scan [SUV·min], ``peak`` [SUV] and ``Ki <tissue>`` of an FDG
        tissue relative to what the true curve would give; what the calibration is too small for is not there.
    refused
        Why there is no band; empty if there is one.
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


class Case(NamedTuple):
    """A scan with known blood.

    Attributes
    ----------
    prediction
        Of the ensemble; what the members drew is left out, which would fill the memory.
    curve
        Continuous, of the prediction.
    whole_blood
        True frame averages, NaN where they are not known, shape (frames,) [SUV].
    """

    prediction: EnsemblePrediction
    curve: ContinuousCurve
    whole_blood: Array


@dataclass(frozen=True, eq=False)
class Calibration:
    """How far predictions of an ensemble may be trusted.

    Attributes
    ----------
    scale
        Expected size of errors.
    factors, own
        Common factors of normalised errors, shape (factors, nodes), and the standard deviation that each node has for
        itself, shape (nodes,).
    inflation
        Factor on both, such that the band holds as large a share of drawn curves as of scans.
    scores
        Of the calibration scans: ``band``, ``auc``, ``peak`` and ``Ki <tissue>``.
    population
        What it was calibrated on, in words.
    """

    scale: ErrorScale
    factors: Array
    own: Array
    inflation: float
    scores: Mapping[str, Array]
    population: str

    def curve(
        self, prediction: EnsemblePrediction, samples: int = 64, level: float = LEVEL, seed: int = 0
    ) -> CalibratedCurve:
        """The continuous curve of a prediction with its uncertainty.

        Parameters
        ----------
        prediction
            Of the ensemble that was calibrated.
        samples
            Curves to draw.
        level
            Probability of the band and of each interval.
        seed
            Of the drawn curves.
        """
        curve = _continuous(prediction)
        scale = self.scale.at(prediction, curve)
        lower = upper = None
        refused = self.refusal("band", level)
        if not refused:
            half = conformal_quantile(self.scores["band"], level) * scale
            lower, upper = np.maximum(curve.values - half, 0.0), curve.values + half
        drawn = self.inflation * self._drawn(curve, samples, np.random.default_rng(seed))
        return CalibratedCurve(
            time=curve.time,
            whole_blood=curve.values,
            scale=scale,
            lower=lower,
            upper=upper,
            samples=np.maximum(curve.values + scale * drawn, 0.0),
            level=level,
            intervals=self._intervals(curve, scale, level),
            refused=refused,
        )

    def refusal(self, figure: str, level: float) -> str:
        """Why there is no band or interval of a figure at a level; empty if there is one."""
        return refusal(len(self.scores.get(figure, ())), level)

    def recalibrated(self, cases: Sequence[Case], population: str) -> Calibration:
        """The same scale and course of errors, with the scores of other scans: for few scans of one's own.

        Parameters
        ----------
        cases
            Scans that no network was trained or tuned on.
        population
            What they are, in words.
        """
        scored = [_score(self, case) for case in cases]
        scores = {
            name: np.sort([score[name] for score in scored if np.isfinite(score[name])]) for name in _figure_names()
        }
        found = replace(self, scores=scores, population=population, inflation=1.0)
        return replace(found, inflation=_inflation(found, cases))

    def _intervals(self, curve: ContinuousCurve, scale: Array, level: float) -> dict[str, tuple[float, float]]:
        centres, sizes = _figures(curve), _relative_sizes(self, curve, scale)
        found = {}
        for name in (name for name in sizes if not self.refusal(name, level)):
            reach, centre = math.exp(conformal_quantile(self.scores[name], level) * sizes[name]), centres.get(name, 1.0)
            found[name] = (centre / reach, centre * reach)
        return found

    def _drawn(self, curve: ContinuousCurve, samples: int, rng: np.random.Generator) -> Array:
        """Normalised errors on the curve's time grid, shape (samples, points), without inflation."""
        common = rng.standard_normal((samples, len(self.factors))) @ self.factors
        nodes = common + self.own * rng.standard_normal((samples, len(_NODES)))
        return np.asarray(nodes @ _between_nodes(curve).T)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "scale": self.scale.to_dict(),
            "nodes": _NODES.tolist(),
            "factors": self.factors.tolist(),
            "own": self.own.tolist(),
            "inflation": self.inflation,
            "scores": {name: scores.tolist() for name, scores in self.scores.items()},
            "population": self.population,
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Calibration:
        """Inverse of `to_dict`.

        Raises
        ------
        ConfigurationError
            If it was made on another time grid.
        """
        if not np.array_equal(kept["nodes"], _NODES):
            raise ConfigurationError(
                "the calibration is on another time grid.", hint="Calibrate the model again with this version."
            )
        return cls(
            scale=ErrorScale.from_dict(kept["scale"]),
            factors=np.array(kept["factors"]),
            own=np.array(kept["own"]),
            inflation=float(kept["inflation"]),
            scores={name: np.array(scores) for name, scores in kept["scores"].items()},
            population=kept["population"],
        )


def calibrate(
    networks: Sequence[TissueNetwork],
    examples: Source,
    population: str,
    base: Calibration | None = None,
    mapper: Mapper = in_turn,
) -> Calibration:
    """Calibrate an ensemble on scans with known blood.

    Parameters
    ----------
    networks
        Members of the ensemble.
    examples
        Scans that none of them was trained or chosen on, in any order that has nothing to do with their errors.
    population
        What they are, in words.
    base
        A calibration whose scale is kept; without one, two fifths of the scans go into fitting it.
    mapper
        Does what there is to do for each scan.

    Raises
    ------
    ConfigurationError
        If there are too few scans to fit a scale.
    """
    cases = list(mapper(partial(case, networks, examples), len(examples)))
    return base.recalibrated(cases, population) if base else fit_calibration(cases, population)


def case(networks: Sequence[TissueNetwork], examples: Source, index: int) -> Case:
    """Prediction and truth of one scan."""
    example = examples[index]
    prediction = predict_ensemble(networks, example.activity, example.timing, example.body_weight)
    members = (
        member._replace(tissues=member.tissues[:, :0].clone(), weight_map=member.weight_map.clone())
        for member in prediction.members
    )
    kept = replace(prediction, members=tuple(members))
    return Case(kept, _continuous(kept), example.whole_blood.double().numpy(force=True))


def fit_calibration(cases: Sequence[Case], population: str) -> Calibration:
    """`calibrate` from predictions that are there already.

    Raises
    ------
    ConfigurationError
        If there are too few scans to fit a scale.
    """
    fitted = int(_FITTED_SHARE * len(cases))
    if fitted < _FEWEST_FITTED:
        raise ConfigurationError(
            f"{len(cases)} scans are too few to learn how errors behave; "
            f"it takes {math.ceil(_FEWEST_FITTED / _FITTED_SHARE)}.",
            hint="Give the calibration of the base model; then 9 scans are enough for a 90 % band.",
        )
    first = cases[:fitted]
    scale = fit_scale([one.prediction for one in first], [one.curve for one in first], [_errors(one) for one in first])
    residuals = np.stack([_at_nodes(one, scale) for one in first])
    shape = Calibration(scale, *_factored(residuals), 1.0, {}, population)
    return shape.recalibrated(cases[fitted:], population)


def _continuous(prediction: EnsemblePrediction) -> ContinuousCurve:
    return continuous_curve(prediction.timing, prediction.whole_blood, prediction.noise)


def _errors(case: Case) -> Array:
    """Truth less prediction, frame averages, shape (frames,) [SUV]; NaN where the truth is not known."""
    return case.whole_blood - case.prediction.timing.average(case.curve.time, case.curve.values)


def _at_nodes(case: Case, scale: ErrorScale) -> Array:
    """Normalised errors on the time grid, constant before the first and after the last known frame."""
    timing, curve, errors = case.prediction.timing, case.curve, _errors(case)
    relative, known = errors / timing.average(curve.time, scale.at(case.prediction, curve)), np.isfinite(errors)
    return np.asarray(np.interp(_NODES, timing.mid[known] - curve.arrival, relative[known]))


def _factored(residuals: Array) -> tuple[Array, Array]:
    """Second moments as common factors and what they leave at each node."""
    moments = residuals.T @ residuals / len(residuals)
    values, vectors = np.linalg.eigh(moments)
    largest = slice(-1, -1 - _FACTORS, -1)
    factors = np.sqrt(np.maximum(values[largest], 0.0))[:, None] * vectors[:, largest].T
    return factors, np.sqrt(np.maximum(np.diag(moments) - (factors**2).sum(axis=0), 0.0))


def _between_nodes(curve: ContinuousCurve) -> Array:
    """Linear interpolation from the nodes to the curve's time grid, shape (points, nodes)."""
    passed = curve.time - curve.arrival
    return np.stack([np.interp(passed, _NODES, unit) for unit in np.eye(len(_NODES))], axis=1)


def _figure_names() -> tuple[str, ...]:
    return ("band", "auc", "peak", *(f"Ki {tissue}" for tissue in KI_TISSUES))


def _score(calibration: Calibration, case: Case) -> dict[str, float]:
    """Scores of a scan; NaN where it has none."""
    timing, curve, errors = case.prediction.timing, case.curve, _errors(case)
    scale = calibration.scale.at(case.prediction, curve)
    band = float(np.nanmax(np.abs(errors) / timing.average(curve.time, scale)))
    known = np.isfinite(errors)
    if not known.all():  # figures of the whole curve are not known
        return {name: float("nan") for name in _figure_names()} | {"band": band}
    truth = continuous_curve(timing, case.whole_blood, np.zeros(len(timing)))
    own, true = _figures(curve), _figures(truth)
    ratios = {name: own[name] / true[name] for name in own} | _influx_ratios(curve, truth, timing)
    sizes = _relative_sizes(calibration, curve, scale)
    return {"band": band} | {name: abs(math.log(ratio)) / sizes[name] for name, ratio in ratios.items()}


def _figures(curve: ContinuousCurve) -> dict[str, float]:
    """Area [SUV·min] and peak [SUV]."""
    return {"auc": float(np.trapezoid(curve.values, curve.time)) / _MINUTE, "peak": float(curve.values.max())}


def _influx_ratios(curve: ContinuousCurve, truth: ContinuousCurve, timing: FrameTiming) -> dict[str, float]:
    """Patlak Ki of usual tissues by a curve over that by the true one; NaN where the scan is too short or it reaches 0.

    The tissues have taken up tracer from the true curve. Whole blood serves as plasma, which cancels in ratios.
    """
    true = InputFunction(truth.time, truth.values, truth.values, "truth")
    tissues = organ_curves({name: _usual(name) for name in KI_TISSUES}, true, timing)
    regions = RegionCurves(KI_TISSUES, tissues, np.full(len(tissues), np.nan))
    scan = DynamicScan(timing, Acquisition("FDG", math.inf), regions)
    own = InputFunction(curve.time, curve.values, curve.values, "learned")
    settings = FitSettings("patlak", t_star=T_STAR, weights="uniform")
    try:
        found, expected = (fit_regions(scan, each, settings)["Ki"].values for each in (own, true))
    except (ConfigurationError, CurveError):
        return {f"Ki {tissue}": math.nan for tissue in KI_TISSUES}
    ratios = np.where(found > 0.0, found / expected, np.nan)
    return {f"Ki {tissue}": float(ratio) for tissue, ratio in zip(KI_TISSUES, ratios, strict=True)}


def _usual(tissue: str) -> OrganKinetics:
    """FDG kinetics without dephosphorylation."""
    return replace(OrganKinetics(*FDG.tissue[tissue]), k4=0.0)


def _relative_sizes(calibration: Calibration, curve: ContinuousCurve, scale: Array) -> dict[str, float]:
    """Expected size of the relative error of each figure, up to a common factor."""
    steps = np.gradient(curve.time)
    weights = _between_nodes(curve).T @ (steps * scale)
    variance = float(np.sum((calibration.factors @ weights) ** 2) + np.sum((calibration.own * weights) ** 2))
    area = math.sqrt(variance) / max(float(steps @ curve.values), 1e-9)
    top = int(np.argmax(curve.values))
    return {"auc": area, "peak": float(scale[top] / curve.values[top])} | {
        f"Ki {tissue}": area for tissue in KI_TISSUES
    }


def _inflation(calibration: Calibration, cases: Sequence[Case]) -> float:
    """Factor by which drawn errors must grow for the band to hold as large a share of them as of scans."""
    if calibration.refusal("band", LEVEL):
        return 1.0
    rng, largest = np.random.default_rng(0), []
    for one in cases:
        curve, timing = one.curve, one.prediction.timing
        scale = calibration.scale.at(one.prediction, curve)
        drawn = timing.average(curve.time, scale * calibration._drawn(curve, _DRAWN, rng))
        largest.append(np.abs(drawn / timing.average(curve.time, scale)).max(axis=1))
    drawn_limit = float(np.quantile(np.concatenate(largest), LEVEL))
    return conformal_quantile(calibration.scores["band"], LEVEL) / drawn_limit
