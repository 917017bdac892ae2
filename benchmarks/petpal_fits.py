"""Fits of given curves by petpal, timed; to be run in the environment that peers.py makes.

    benchmarks/.peers/bin/python benchmarks/petpal_fits.py FOLDER CORE

FOLDER holds the .npy files that kinetics_speed.py writes and tasks.json; the results are printed as JSON. The time
includes all that petpal does for a curve, but no compilation.
"""

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])
os.sched_setaffinity(0, {int(sys.argv[2])})
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402
from petpal.kinetic_modeling import parametric_images, reference_tissue_models, tac_fitting  # noqa: E402
from petpal.kinetic_modeling import tcms_as_convolutions as tcm  # noqa: E402

warnings.simplefilter("ignore")

# petpal convolves on even samples. Its default for single curves leaves frames of 5 s unresolved, vB is then off by a
# quarter; its default for frame averages comes within a few percent of every parameter.
DEFAULT, FINE = 512, 8192
TCM = {
    "1tcm": (tcm.gen_tac_1tcm_cpet_from_tac, ("K1", "k2", "vB")),
    "2tcm-irreversible": (tcm.gen_tac_2tcm_with_k4zero_cpet_from_tac, ("K1", "k2", "k3", "vB")),
    "2tcm-reversible": (tcm.gen_tac_2tcm_cpet_from_tac, ("K1", "k2", "k3", "k4", "vB")),
}
PLOTS = {"patlak": ("patlak", "Ki"), "logan": ("logan", "VT"), "reference-logan": ("logan_ref", "DVR")}


def load(name: str) -> np.ndarray:
    return np.load(FOLDER / f"{name}.npy")


MID, PLASMA, REFERENCE = load("mid"), load("plasma"), load("reference")  # [min], (time, values), (frames,)


def evenly(values: np.ndarray, even: np.ndarray) -> np.ndarray:
    return np.interp(even, np.r_[0.0, MID], np.r_[0.0, values])


def compartments(model: str, curves: np.ndarray, start: dict[str, float], samples: int) -> dict[str, np.ndarray]:
    function, names = TCM[model]
    bounds = np.array([[start[name], 1e-8, 1.0 if name == "vB" else 10.0] for name in names])
    found = []
    for curve in curves.T:
        fitter = tac_fitting.TACFitter(
            PLASMA, np.array([MID, curve]), tcm_func=function, fit_bounds=bounds, resample_num=samples
        )
        fitter.run_fit()
        found.append(fitter.fit_results[0])
    return dict(zip(names, np.transpose(found), strict=True))


def plot(model: str, curves: np.ndarray, t_star: float, k2_prime: float) -> dict[str, np.ndarray]:
    method, name = PLOTS[model]
    values = REFERENCE if method == "logan_ref" else np.interp(MID, *PLASMA)
    more = {"k2_prime": k2_prime} if method == "logan_ref" else {}
    image = np.ascontiguousarray(curves.T)[:, None, None, :]
    slope, intercept = parametric_images.generate_parametric_images_with_graphical_method(
        MID, values, image, t_star, method, **more
    )
    return {name: slope[:, 0, 0], "intercept": intercept[:, 0, 0]}


def simplified_reference(curves: np.ndarray, samples: int) -> dict[str, np.ndarray]:
    even = np.linspace(0.0, MID[-1], samples)
    reference = evenly(REFERENCE, even)
    fit = reference_tissue_models.fit_srtm_to_tac_with_bounds
    found = [fit(even, evenly(curve, even), reference)[0] for curve in curves.T]
    return dict(zip(("R1", "k2", "BPND"), np.transpose(found), strict=True))


def multilinear_reference(curves: np.ndarray, t_star: float) -> dict[str, np.ndarray]:
    fit = reference_tissue_models.fit_mrtm_2003_to_tac
    found = [fit(MID, curve, REFERENCE, t_star)[0] for curve in np.ascontiguousarray(curves.T)]
    binding = [reference_tissue_models.calc_bp_from_mrtm_2003_fit(one) for one in found]
    return {"BPND": np.array(binding)}


def multilinear_reference_2(curves: np.ndarray, t_star: float, k2_prime: float) -> dict[str, np.ndarray]:
    fit = reference_tissue_models.fit_mrtm2_2003_to_tac
    found = [fit(MID, curve, REFERENCE, t_star, k2_prime)[0] for curve in np.ascontiguousarray(curves.T)]
    binding = [reference_tissue_models.calc_bp_from_mrtm2_2003_fit(one) for one in found]
    return {"BPND": np.array(binding)}


def fits(task: dict[str, Any], samples: int) -> dict[str, Callable[[np.ndarray], dict[str, np.ndarray]]]:
    """Fits that convolve on even samples."""
    sampled = {model: partial(compartments, model, start=task["start"], samples=samples) for model in TCM}
    return sampled | {"srtm": partial(simplified_reference, samples=samples)}


def linear_fits(task: dict[str, Any]) -> dict[str, Callable[[np.ndarray], dict[str, np.ndarray]]]:
    """Fits on the frames as they are."""
    t_star, k2_prime = task["t_star"], task["k2_prime"]
    return {
        **{model: partial(plot, model, t_star=t_star, k2_prime=k2_prime) for model in PLOTS},
        "mrtm": partial(multilinear_reference, t_star=t_star),
        "mrtm2": partial(multilinear_reference_2, t_star=t_star, k2_prime=k2_prime),
    }


def rate(fit: Callable[[np.ndarray], object], curves: np.ndarray, seconds: float) -> float:
    """Median of curves per second of processor time over batches, as many as the time allows."""
    batch, rates, fitted, began = 1, [], 0, time.process_time()
    while len(rates) < 3 or time.process_time() - began < seconds:
        first = fitted % max(1, curves.shape[1] - batch)
        some = np.ascontiguousarray(curves[:, first : first + batch])
        started = time.process_time()
        fit(some)
        spent = time.process_time() - started
        fitted += some.shape[1]
        if spent < 0.1 * seconds and batch < curves.shape[1] // 2:
            batch *= 2
        else:
            rates.append(some.shape[1] / spent)
    return float(np.median(rates))


def answers(task: dict[str, Any], every: dict[str, Callable[[np.ndarray], dict[str, np.ndarray]]]) -> dict[str, Any]:
    """Rate and result for the curve without noise, by model."""
    answer = {}
    for model in every.keys() & set(task["models"]):
        found = every[model](load(f"{model}.exact")[:, None])  # compiles, too
        speed = rate(every[model], load(f"{model}.noisy").astype(float), task["seconds"])
        answer[model] = {"rate": speed, "found": {name: float(values[0]) for name, values in found.items()}}
    return answer


def main() -> None:
    task = json.loads((FOLDER / "tasks.json").read_text())
    linear = answers(task, linear_fits(task))
    print(json.dumps({"default": answers(task, fits(task, DEFAULT)), "fine": answers(task, fits(task, FINE)) | linear}))


if __name__ == "__main__":
    main()
