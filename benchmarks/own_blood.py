"""How much a laboratory gains from its own scans with arterial blood: error and band against the number of animals.

For each laboratory that nothing else uses, the shipped model is corrected and calibrated, or trained further, with
blood of some of its animals, as `dlif train --from --study` does, and tested on others. With an atlas, laboratories of
another anatomy and noise model are tested too.

    python benchmarks/own_blood.py [--laboratories 2] [--animals 0,9,18] [--tested 8] [--atlas LABELS.nii.gz]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from dlif_core.compute.pool import open_mapper
from dlif_core.curve import InputFunction
from dlif_core.networks.bundle.model import LearnedModel, load_model
from dlif_core.networks.calibration.cases import calibration_case
from dlif_core.networks.prediction.scan import network_scan
from dlif_core.networks.release.fine_tuning import TuningRecipe, train_further
from dlif_core.networks.release.own_scan import OwnScan
from dlif_core.networks.training.examples import Example, make_example
from dlif_core.phantom.sites import Sites
from dlif_core.scan import DynamicScan

#: Laboratories that nothing else may use.
LABORATORIES = Sites("own-blood-laboratories", stream=208, animals=40)
_FIRST_ATLAS_SITE = 3000


def main() -> None:
    """Print a line for each laboratory and number of animals, then medians over the laboratories."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--laboratories", type=int, default=2)
    parser.add_argument("--animals", default="0,9,18")
    parser.add_argument("--tested", type=int, default=8)
    parser.add_argument("--atlas", type=Path)
    options = parser.parse_args()
    numbers = [int(number) for number in options.animals.split(",")]
    base, rows = load_model(), []
    for name, examples in laboratories(options.laboratories, max(numbers) + options.tested, options.atlas):
        tested = examples[max(numbers) :]
        for number in numbers:
            begun = time.monotonic()
            model = base if number == 0 else learned_from(base, examples[:number])
            rmse, held, width = quality(model, tested)
            minutes = (time.monotonic() - begun) / 60.0
            rows.append((name.split()[0], number, rmse, held, width))
            print(
                f"{name}, {number:2} animals: RMSE {rmse:.2f} SUV, band holds {100 * held:.0f} %, "
                f"width {width:.2f} SUV; {minutes:.1f} min",
                flush=True,
            )
    for kind in dict.fromkeys(row[0] for row in rows):
        for number in numbers:
            own = np.array([row[2:] for row in rows if row[:2] == (kind, number)])
            rmse, held, width = np.median(own[:, 0]), own[:, 1].mean(), np.median(own[:, 2])
            print(f"{kind}: {number:2} animals: RMSE {rmse:.2f} SUV, band {100 * held:.0f} %, width {width:.2f} SUV")


def laboratories(count: int, animals: int, atlas: Path | None) -> Iterator[tuple[str, list[Example]]]:
    """Scans of each laboratory, without tissues, as a study has them."""
    for site in range(count):
        seeds = range(LABORATORIES.animals * site, LABORATORIES.animals * site + animals)
        yield f"simulated {site}", [bare(make_example(seed, LABORATORIES)) for seed in seeds]
    if atlas is None:
        return
    from dlif_core.phantom.atlas import atlas_site, draw_atlas_scan, load_atlas

    labels = load_atlas(atlas)
    for site in range(_FIRST_ATLAS_SITE, _FIRST_ATLAS_SITE + count):
        made = (draw_atlas_scan(atlas_site(site), animal, labels) for animal in range(animals))
        yield f"atlas {site}", [from_scan(one.scan, one.truth.input_function) for one in made]


def from_scan(scan: DynamicScan, truth: InputFunction) -> Example:
    """Example of a scan in the scanner's own voxels and its true input function."""
    image = network_scan(scan)
    suv = scan.acquisition.suv_factor
    assert suv is not None, "simulated scans have dose and weight"
    blood = torch.from_numpy((suv * truth.frame_average(scan.timing)[0]).astype(np.float32))
    nothing = image.activity.new_zeros(0, *image.activity.shape[1:])
    return Example(image, nothing, image.activity.new_zeros(len(scan.timing), 3), blood)


def bare(example: Example) -> Example:
    """The example without what only a simulation knows."""
    nothing = example.scan.activity.new_zeros(0, *example.scan.activity.shape[1:])
    return Example(example.scan, nothing, torch.zeros_like(example.displacement), example.whole_blood)


def learned_from(base: LearnedModel, examples: Sequence[Example]) -> LearnedModel:
    """The model that a laboratory makes of the shipped one with blood of some animals."""
    scans = [OwnScan(f"own:{number:02d}", f"scan {number}", example) for number, example in enumerate(examples)]
    with tempfile.TemporaryDirectory() as folder, open_mapper() as mapper:
        return train_further(Path(folder) / "own", base, scans, TuningRecipe(), mapper=mapper)


def quality(model: LearnedModel, examples: Sequence[Example]) -> tuple[float, float, float]:
    """Median RMSE [SUV], share of the curves in the band in every frame, and mean width of the band [SUV]."""
    errors, held, widths = [], [], []
    for number in range(len(examples)):
        case = calibration_case(model.networks, examples, number)
        timing, curve = case.prediction.timing, model.calibration.curve(case.prediction, samples=2)
        errors.append(float(np.sqrt(np.nanmean(case.errors**2))))
        if curve.lower is None or curve.upper is None:
            continue
        low, high = (timing.average(curve.time, limit) for limit in (curve.lower, curve.upper))
        held.append(bool(np.all((low <= case.whole_blood + 1e-6) & (case.whole_blood <= high + 1e-6))))
        widths.append(float(np.mean(high - low)))
    return float(np.median(errors)), float(np.mean(held)), float(np.mean(widths))


if __name__ == "__main__":
    main()
