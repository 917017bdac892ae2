"""A simulated total-body scan, 4.4 million voxels x 40 frames: maps of the irreversible model with standard errors.

The scan is simulated and stored shard by shard; every voxel has noise, so that none is masked. Printed are the wall
time of the maps on two workers of a running cluster, and the peak memory of a worker.

    python benchmarks/total_body.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from scans import Steps, one_thread, peak_memory, print_load, processor_seconds, verdict, workers_ready, write_study

SHAPE = (275, 160, 100)
SECONDS, BYTES = 60.0, 4e9
WORKERS = 2
SUV = 5e3  # [Bq/mL]
NOISE = 3.0  # [SUV^½ s^½]


class LazyScan:
    """Curves of labels with noise, computed block by block."""

    def __init__(self, labels: Any, curves: Any, timing: Any) -> None:
        self._labels, self._curves, self._timing = labels, curves, timing
        self.shape = (len(timing), *labels.shape)

    def __getitem__(self, block: tuple[slice, ...]) -> Any:
        import numpy as np
        from curves import with_noise

        labels = self._labels[block[1:]]
        rng = np.random.default_rng([part.start for part in block[1:]])
        true = self._curves[:, labels.ravel()]
        return with_noise(true, self._timing, NOISE, SUV, rng).reshape(-1, *labels.shape)


def body_labels(organs: int) -> Any:
    """Labels, 0 for air: the body is an ellipse in every slice, organs are slabs of it."""
    import numpy as np

    z, y, x = np.ogrid[tuple(slice(0, length) for length in SHAPE)]
    inside = ((y / SHAPE[1] - 0.5) / 0.45) ** 2 + ((x / SHAPE[2] - 0.5) / 0.4) ** 2 < 1
    organ = 1 + (z // 5 + y // 8 + x // 8) % organs
    return np.where(inside, organ, 0).astype(np.int32)


def total_body() -> Any:
    """The scan and its input function."""
    import numpy as np
    from curves import F18, HUMAN_FRAMES, human_input, tissue_curves, variants

    from dlif_core.kinetics.convolution import FrameConvolution
    from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

    blood = human_input()
    response = FrameConvolution(blood.time, blood.plasma, HUMAN_FRAMES)
    organs = variants(24, np.random.default_rng(0))
    curves = tissue_curves(response, HUMAN_FRAMES.average(blood.time, blood.whole_blood), organs)
    labels = body_labels(len(organs))
    regions = RegionCurves(tuple(f"organ {i + 1}" for i in range(len(organs))), curves.T, np.full(len(organs), 1e4))
    scan = DynamicScan(
        timing=HUMAN_FRAMES,
        acquisition=Acquisition(tracer="FDG", half_life=F18, species="human"),
        regions=regions,
        activity=LazyScan(labels, np.column_stack([np.zeros(len(HUMAN_FRAMES)), curves]), HUMAN_FRAMES),
        affine=np.diag([4.0, 4.0, 4.0, 1.0]),
    )
    return scan, blood


def main() -> None:
    one_thread()
    print_load()
    import math

    from dlif_core.compute.cluster import open_client
    from dlif_core.study.config import Kinetics

    steps = Steps()
    fit = Kinetics(model="2tcm-irreversible")
    with tempfile.TemporaryDirectory() as name, open_client(workers=WORKERS) as client:
        with steps.timed(f"{math.prod(SHAPE) / 1e6:.1f} million voxels into the store"):
            study = write_study(Path(name), *total_body(), fit)
        before = max(workers_ready(client).values())
        with client.executor() as executor:
            seconds = study.maps(executor)
        spent = processor_seconds(client)
        peak = max(client.run(peak_memory).values())
    print(f"maps on {WORKERS} workers {seconds:.1f} s, {verdict(seconds, SECONDS)}; {spent:.1f} s of their processors")
    print(
        f"peak memory of a worker {peak / 1e6:.0f} MB ({before / 1e6:.0f} MB before any work), {verdict(peak, BYTES)}"
    )


if __name__ == "__main__":
    main()
