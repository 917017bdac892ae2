"""Input function from region curves by a Gaussian process that was trained on simulated mice.

After the idea of Kuttner et al. (Biomed Phys Eng Express 2020;6:015020), who predicted the curve from the curves of
tissues. Here the regions are found without labels (`region_curves`), and what is predicted is the logarithm of the
ratio of blood to the curve of the region with most blood: a smooth function of time that undoes recovery and spill-in,
while arrival and shape of the bolus stay those of the scan.

With the p logarithms x of the region curves, standardised, the covariance of two scans is
exp(−|x − x'|²/(2·p·length²)) + linear·x·x'/p, plus noise (Rasmussen & Williams, Gaussian Processes for Machine
Learning, 2006). All windows share it up to a factor.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.errors import InputError
from dlif_core.finite import to_json
from dlif_core.input_function.image_derived import curve_from_frames
from dlif_core.input_function.method import Method
from dlif_core.input_function.plasma import ImageOptions, image_plasma
from dlif_core.input_function.region_curves import FoundRegions, region_curves, window_middles
from dlif_core.scan import Acquisition, DynamicScan, is_fdg

Array = NDArray[np.float64]

#: File of the table that is shipped.
TABLE = Path(__file__).with_name("gaussian_process.safetensors")
#: Logarithms of body weight are taken relative to this weight [kg] and in units of the second number.
_TYPICAL_WEIGHT, _WEIGHT_SPREAD = 0.025, 0.2
# quantile of the normal distribution for a pointwise band of 90 %
_BAND = 1.645
# regions that hardly differ between scans must not blow up the noise of those that do
_LEAST_SPREAD = 0.05


class GaussianProcessOptions(ImageOptions):
    """The method has no options."""


@dataclass(frozen=True)
class Covariance:
    """Numbers of the covariance function, all positive.

    Attributes
    ----------
    length
        Length scale in standard deviations of a feature.
    linear
        Variance of the linear part, relative to that of the exponential part.
    noise
        Variance of the noise, relative to the same part.
    """

    length: float
    linear: float
    noise: float

    def between(self, first: Array, second: Array) -> Array:
        """Covariance without noise of scans (n, p) and (m, p), shape (n, m)."""
        products = first @ second.T
        distance = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2.0 * products
        number = first.shape[1]
        return np.asarray(np.exp(-0.5 * distance / (number * self.length**2)) + self.linear * products / number)


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """Simulated scans from which the process predicts.

    Attributes
    ----------
    features
        Shape (scans, regions, windows), see `FoundRegions.features`.
    body_weight
        Shape (scans,) [kg].
    ratio
        Logarithm of whole blood over the region with most blood, shape (scans, windows).
    covariance
        Covariance fitted to these scans.
    seeds
        First and last seed of the simulation.
    """

    features: Array
    body_weight: Array
    ratio: Array
    covariance: Covariance
    seeds: tuple[int, int]

    def save(self, path: Path) -> None:
        """Write it as safetensors, features in half precision."""
        from safetensors.numpy import save

        arrays = {name: getattr(self, name).astype(np.float16) for name in ("features", "body_weight", "ratio")}
        metadata = {"covariance": to_json(vars(self.covariance), where=path), "seeds": to_json(self.seeds, where=path)}
        path.write_bytes(save(arrays, metadata))


@lru_cache(maxsize=1)
def load_table(path: Path = TABLE) -> TrainingTable:
    """Read a table that `TrainingTable.save` wrote."""
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        arrays = {name: file.get_tensor(name).astype(float) for name in ("features", "body_weight", "ratio")}
        metadata = file.metadata()
    first, last = json.loads(metadata["seeds"])
    return TrainingTable(**arrays, covariance=Covariance(**json.loads(metadata["covariance"])), seeds=(first, last))


def standardised(features: Array, body_weight: Array, table_features: Array, measured: NDArray[np.bool_]) -> Array:
    """Features and body weight in standard deviations of a table, shape (scans, p).

    Parameters
    ----------
    features
        Shape (scans, regions, windows).
    body_weight
        Shape (scans,) [kg].
    table_features
        Features of the table.
    measured
        Windows to use, shape (windows,).
    """
    spread = table_features.std(axis=0) + _LEAST_SPREAD
    relative = ((features - table_features.mean(axis=0)) / spread)[:, :, measured]
    weight = np.log(body_weight / _TYPICAL_WEIGHT) / _WEIGHT_SPREAD
    return np.concatenate([relative.reshape(len(features), -1), weight[:, None]], axis=1)


def predict_ratio(table: TrainingTable, regions: FoundRegions, body_weight: float) -> tuple[Array, Array]:
    """Logarithm of whole blood over the region with most blood, by regression on the windows that were measured.

    Returns
    -------
    Mean and standard deviation, each of shape (measured windows,).
    """
    measured, covariance = regions.measured, table.covariance
    known = standardised(table.features, table.body_weight, table.features, measured)
    asked = standardised(regions.features[None], np.array([body_weight]), table.features, measured)
    factor = scipy.linalg.cho_factor(
        covariance.between(known, known) + covariance.noise * np.eye(len(known)), lower=True
    )
    mean = table.ratio.mean(axis=0)[measured]
    centred = table.ratio[:, measured] - mean
    across = covariance.between(asked, known)[0]
    amplitude = (centred * scipy.linalg.cho_solve(factor, centred)).sum(axis=0) / len(known)
    own = covariance.between(asked, asked)[0, 0] + covariance.noise
    variance = amplitude * (own - across @ scipy.linalg.cho_solve(factor, across))
    return mean + scipy.linalg.cho_solve(factor, across) @ centred, np.sqrt(variance)


def estimate(scan: DynamicScan, recordings: Sequence[BloodRecording], options: GaussianProcessOptions) -> InputFunction:
    """Input function of a mouse FDG scan by Gaussian process regression; blood recordings serve plasma alone.

    The band holds 90 % of curves at each time by itself, of the kind of mice that the process was trained on.

    Raises
    ------
    InputError
        If the scan is not of a mouse after FDG, has no image, dose or body weight, or lacks the bolus.
    """
    from dlif_core.networks.prediction.scan import network_image

    _require_mouse_fdg(scan.acquisition)
    table = load_table()
    image = network_image(scan).numpy(force=True)
    regions = region_curves(image, scan.timing)
    factor, weight = scan.acquisition.suv_factor, scan.acquisition.body_weight
    assert factor is not None
    assert weight is not None
    ratio, spread = predict_ratio(table, regions, weight)
    middles = np.log(window_middles()[regions.measured])

    def at(values: Array, time: Array) -> Array:
        return np.interp(np.log(np.maximum(time - regions.arrival, 1.0)), middles, values)

    averages = regions.blood * np.exp(at(ratio, scan.timing.mid)) / factor
    time, whole_blood, misfit = curve_from_frames(scan.timing, averages)
    margin = np.exp(_BAND * at(spread, time))
    plasma = image_plasma(time, scan.acquisition, recordings, options)
    return InputFunction(
        time=time,
        whole_blood=whole_blood,
        plasma=whole_blood * plasma.factor,
        method="gaussian-process",
        lower=whole_blood / margin,
        upper=whole_blood * margin,
        provenance={
            "options": options.deciding_settings(),
            "simulated scans": len(table.features),
            "seeds": list(table.seeds),
            "covariance": vars(table.covariance),
            "arrival of the bolus [s]": round(regions.arrival, 2),
            "blood to brightest region": np.exp(ratio).round(4).tolist(),
            "relative standard deviation": spread.round(4).tolist(),
            "frame averages [Bq/mL]": averages.tolist(),
            "misfit of frame averages to peak": misfit,
            **plasma.provenance,
        },
        with_metabolites=plasma.with_metabolites,
        warnings=(
            "the Gaussian process was trained on simulated mice; its band holds for such mice.",
            *plasma.warnings,
        ),
    )


def _require_mouse_fdg(acquisition: Acquisition) -> None:
    if acquisition.species == "mouse" and is_fdg(acquisition.tracer):
        return
    tracer = repr(acquisition.tracer) if acquisition.tracer else "an unknown tracer"
    raise InputError(
        f"the Gaussian process knows FDG in mice, not {tracer} in {acquisition.species or 'an unknown species'}.",
        hint="Use another input function; for FDG in mice, state tracer and species with the scan.",
    )


METHOD = Method("gaussian-process", "Gaussian process", GaussianProcessOptions, estimate)
