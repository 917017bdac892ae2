"""Does the explanation of a learned curve point at the blood that the curve is read from?

One mouse of each of some held-out laboratories is explained, and every explanation is compared with the truth of the
simulation. Metrics of the first pass have to point at the left ventricle and the arteries, not at veins; late blood is
read from both. Rows are added to a table as they are made, and scans that are in it already are not explained again.

    python benchmarks/explanation_checks.py TABLE [--mice 12] [--model NAME]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from dlif_core.evaluation.laboratories import ANIMALS, SITES
from dlif_core.networks.bundle.model import load_model
from dlif_core.networks.explanation.checks import explanation_metrics
from dlif_core.networks.prediction.resampling import NETWORK_VOXEL
from dlif_core.phantom import draw, simulate_coarse

TARGETS = ("peak", "early-auc", "tail")
# when a scan passes, and what is checked
CHECKS: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "pointed": (lambda found: found >= 1.0, "most relevant voxel in the blood"),
    "reading_pointed": (lambda found: found >= 1.0, "the same of the reading alone"),
    "blood_share": (lambda found: found >= 3.0, "share of relevance over share of volume, >= 3"),
    "reading_blood_share": (lambda found: found >= 3.0, "the same of the reading alone, >= 3"),
    "deletion": (lambda found: found <= 0.6, "deletion over random order, <= .6"),
    "deletion_resegmented": (lambda found: found <= 0.6, "the same, segmented again"),
    "randomisation": (lambda found: found.abs() < 0.2, "rank correlation with random weights, < .2"),
    "gap": (lambda found: found < 0.05, "completeness gap, < .05"),
}


def measure(table: Path, mice: int, model: str | None) -> pd.DataFrame:
    """Explain what is not in the table yet, and give all of it."""
    networks = load_model(model).networks
    rows: list[dict[Any, Any]] = pd.read_csv(table, sep="\t").to_dict("records") if table.exists() else []
    done = {(row["seed"], row["target"]) for row in rows}
    for seed in range(0, ANIMALS * mice, ANIMALS):
        wanted = [target for target in TARGETS if (seed, target) not in done]
        if wanted:
            scan = simulate_coarse(*draw(seed, SITES), voxel_size=(NETWORK_VOXEL,) * 3)
        for target in wanted:
            found = explanation_metrics(networks, scan, target)
            rows.append({"seed": seed, "target": target, **asdict(found)})
            pd.DataFrame(rows).to_csv(table, sep="\t", index=False, float_format="%.6g")
    return pd.DataFrame(rows)


def main() -> None:
    """Print median and share of the scans that pass for every check and metric."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--mice", type=int, default=12)
    parser.add_argument("--model")
    given = parser.parse_args()
    found = measure(given.table, given.mice, given.model)
    print(f"| check | {' | '.join(TARGETS)} |\n|---|{'---|' * len(TARGETS)}")
    for name, (holds, title) in CHECKS.items():
        cells = []
        for target in TARGETS:
            values = found.loc[found["target"] == target, name].astype(float)
            cells.append(f"{values.median():.3g}, {holds(values).mean():.0%} of {len(values)}")
        print(f"| {title} | {' | '.join(cells)} |")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
