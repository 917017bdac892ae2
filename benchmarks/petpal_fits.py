"""petpal's fits of given curves, timed where they run; for its own environment, see peers.py.

    benchmarks/.peers/bin/python benchmarks/petpal_fits.py FOLDER CORE

FOLDER holds the .npy files that kinetics_speed.py writes and tasks.json; the answer, JSON, is printed. Of each curve
everything that petpal does for it counts, compilation does not.
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

SAMPLES = 512  # petpal's own default
TCM = {
    "1tcm": (tcm.gen_tac_1tcm_cpet_from_tac, ("K1", "k2", "vB")),
    "2tcm-irreversible": (tcm.gen_tac_2tcm_with_k4zero_cpet_from_tac, ("K1", "k2", "k3", "vB")),
    "2tcm-reversible": (tcm.gen_tac_2tcm_cpet_from_tac, ("K1", "k2", "k3", "k4", "vB")),
}
PLOTS = {"patlak": ("patlak", "Ki"), "logan": ("logan", "VT"), "reference-logan": ("logan_ref", "DVR")}


def load(name: str) -> np.ndarray:
    return np.load(FOLDER / f"{name}.npy")


MID, PLASMA, REFERENCE = load("mid"), load("plasma"), load("reference")  # [min], (time, values), (frames,)
EVEN = np.linspace(0.0, MID[-1], SAMPLES)


def evenly(values: np.ndarray) -> np.ndarray:
    return np.interp(EVEN, np.r_[0.0, MID], np.r_[0.0, values])


def compartments(model: str, curves: np.ndarray, start: dict[str, float]) -> dict[str, np.ndarray]:
    function, names = TCM[model]
    bounds = np.array([[start[name], 1e-8, 1.0 if name == "vB" else 10.0] for name in names])
    found = []
    for curve in curves.T:
        fitter = tac_fitting.TACFitter(
            PLASMA, np.array([MID, curve]), tcm_func=function, fit_bounds=bounds, resample_num=SAMPLES
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


def simplified_reference(curves: np.ndarray) -> dict[str, np.ndarray]:
    reference = evenly(REFERENCE)
    fit = reference_tissue_models.fit_srtm_to_tac_with_bounds
    found = [fit(EVEN, evenly(curve), reference)[0] for curve in curves.T]
    return dict(zip(("R1", "k2", "BPND"), np.transpose(found), strict=True))


def simplified_reference_2(curves: np.ndarray, k2_prime: float) -> dict[str, np.ndarray]:
    reference = evenly(REFERENCE)
    fit = partial(reference_tissue_models.fit_srtm2_to_tac_with_bounds, k2_prime=k2_prime)
    found = [fit(EVEN, evenly(curve), reference)[0] for curve in curves.T]
    return dict(zip(("R1", "BPND"), np.transpose(found), strict=True))


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


def fits(task: dict[str, Any]) -> dict[str, Callable[[np.ndarray], dict[str, np.ndarray]]]:
    t_star, k2_prime = task["t_star"], task["k2_prime"]
    return {
        **{model: partial(compartments, model, start=task["start"]) for model in TCM},
        **{model: partial(plot, model, t_star=t_star, k2_prime=k2_prime) for model in PLOTS},
        "srtm": simplified_reference,
        "srtm2": partial(simplified_reference_2, k2_prime=k2_prime),
        "mrtm": partial(multilinear_reference, t_star=t_star),
        "mrtm2": partial(multilinear_reference_2, t_star=t_star, k2_prime=k2_prime),
    }


def rate(fit: Callable[[np.ndarray], object], curves: np.ndarray, seconds: float) -> tuple[float, int]:
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
    return float(np.median(rates)), fitted


def main() -> None:
    task = json.loads((FOLDER / "tasks.json").read_text())
    answer = {}
    for model, fit in fits(task).items():
        if model not in task["models"]:
            continue
        exact, noisy = load(f"{model}.exact"), load(f"{model}.noisy").astype(float)
        found = fit(exact[:, None])  # compiles, too
        speed, fitted = rate(fit, noisy, task["seconds"])
        answer[model] = {"rate": speed, "fitted": fitted, "found": {k: float(v[0]) for k, v in found.items()}}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
