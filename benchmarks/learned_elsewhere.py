"""How well methods read the input function in mice of other laboratories, which no network and no calibration has seen.

Two worlds: laboratories of the project's own simulator (`phantom.sites`), and an atlas of a real mouse with a noise
model of its own (`phantom.atlas`), for which the Digimouse labels are needed.

    python benchmarks/learned_elsewhere.py [--sites 12] [--animals 2] [--atlas LABELS.nii.gz] [--methods learned,…]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dlif_core.curve import InputFunction
from dlif_core.errors import DlifError, OutOfScopeError
from dlif_core.evaluation.candidates import Candidate, candidates
from dlif_core.phantom import draw, simulate
from dlif_core.phantom.sites import Sites
from dlif_core.scan import DynamicScan
from dlif_core.statistics.resampling import bootstrap_interval

#: Laboratories that nothing else may use.
ELSEWHERE = Sites("elsewhere", stream=900, animals=8)
_ATLAS_FIRST = 900
EARLY, LATE = (300.0, 900.0), (1980.0, 2700.0)

Row = dict[str, Any]


def main() -> None:
    """Print a table for each world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=12)
    parser.add_argument("--animals", type=int, default=2)
    parser.add_argument("--atlas", type=Path)
    parser.add_argument("--methods", default="learned,population,image-derived")
    options = parser.parse_args()
    chosen = candidates(options.methods.split(","), None)
    worlds = {"sites": own_scans(options.sites, options.animals)}
    if options.atlas:
        worlds["atlas"] = atlas_scans(options.atlas, options.sites, options.animals)
    for world, scans in worlds.items():
        rows = [
            row for site, scan, truth in scans for method in chosen for row in [measured(method, scan, truth, site)]
        ]
        show(world, pd.DataFrame(rows))


def own_scans(sites: int, animals: int) -> Iterator[tuple[int, DynamicScan, InputFunction]]:
    """Scans of laboratories of the project's own simulator."""
    for site in range(sites):
        for animal in range(animals):
            made = simulate(*draw(ELSEWHERE.animals * site + animal, ELSEWHERE))
            yield site, made.scan, made.truth.input_function


def atlas_scans(path: Path, sites: int, animals: int) -> Iterator[tuple[int, DynamicScan, InputFunction]]:
    """Scans of laboratories on the atlas."""
    from dlif_core.phantom.atlas import atlas_site, draw_atlas_scan, load_atlas

    atlas = load_atlas(path)
    for site in range(_ATLAS_FIRST, _ATLAS_FIRST + sites):
        for animal in range(animals):
            made = draw_atlas_scan(atlas_site(site), animal, atlas)
            yield site, made.scan, made.truth.input_function


def measured(method: Candidate, scan: DynamicScan, truth: InputFunction, site: int) -> Row:
    """Errors of one method on one scan."""
    row: Row = {"method": method.name, "site": site}
    try:
        curve = method.function(scan, ())
    except OutOfScopeError:
        return row | {"verdict": "out of scope"}
    except DlifError:
        return row | {"verdict": "no curve"}
    suv, timing = scan.acquisition.suv_factor or np.nan, scan.timing
    found, true = (suv * one.frame_average(timing)[0] for one in (curve, truth))
    since = timing.mid - truth.time[int(np.argmax(truth.whole_blood > 0.1 * truth.whole_blood.max()))]
    early, late = (_ratio(found, true, timing.duration * (low < since) * (since < high)) for low, high in (EARLY, LATE))
    held = np.nan
    if curve.lower is not None and curve.upper is not None:
        within = [np.interp(timing.mid, curve.time, limit) * suv for limit in (curve.lower, curve.upper)]
        held = float(np.all((within[0] <= true + 0.02) & (true <= within[1] + 0.02)))
    verdict = (curve.provenance.get("scope") or {}).get("state", "made")
    return row | {
        "verdict": verdict,
        "rmse": float(np.sqrt(np.mean((found - true) ** 2))),
        "peak": float(found.max() / true.max()),
        "area": _ratio(found, true, timing.duration),
        "tilt": abs(early / late - 1.0),
        "band": held,
    }


def _ratio(found: np.ndarray, true: np.ndarray, weight: np.ndarray) -> float:
    return float(found @ weight / (true @ weight)) if weight.any() else float("nan")


def show(world: str, rows: pd.DataFrame) -> None:
    """Print medians, with bootstrap intervals over laboratories for the error."""
    print(f"\n{world}: {rows['site'].nunique()} laboratories, {len(rows) // rows['method'].nunique()} scans")
    for method, own in rows.groupby("method", sort=False):
        made = own.dropna(subset=["rmse"]) if "rmse" in own else own.iloc[:0]
        refused = len(own) - len(made)
        if made.empty:
            print(f"{method:16} no curve of {len(own)}")
            continue
        means = made.groupby("site")["rmse"].median().to_numpy()
        low, high = bootstrap_interval((means,), np.median)
        band = "" if made["band"].isna().all() else f", band holds {100 * made['band'].mean():.0f} %"
        print(
            f"{method:16} RMSE {made['rmse'].median():.2f} SUV ({low:.2f}-{high:.2f}), peak ratio "
            f"{made['peak'].median():.2f}, area ratio {made['area'].median():.2f}, tail tilts by "
            f"{100 * made['tilt'].median():.0f} %{band}, without curve {refused} of {len(own)}, "
            f"doubtful {(own['verdict'] == 'doubtful').sum()}"
        )


if __name__ == "__main__":
    main()
