"""A whole mouse scan, 128 x 92 x 92 voxels x 42 frames: maps of Ki, K1, k2, k3 and vB with standard errors.

Wall times on two workers of a running cluster, as in a study: the image is read from the store, fitted, and the maps
are written, checked, flushed to disk and committed. Twice: with the air of the simulator, where four of five voxels are
zero and thus masked, and with noise in the air, so that every voxel is fitted.

    python benchmarks/whole_scan.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from scans import (
    Steps,
    noise_in_air,
    one_thread,
    peak_memory,
    print_load,
    processor_seconds,
    verdict,
    workers_ready,
    write_study,
)

LIMIT = 10.0
WORKERS = 2
REPEATS = 3


def main() -> None:
    one_thread()
    print_load()
    from statistics import median

    from dlif_core.compute.cluster import open_client
    from dlif_core.phantom import draw_mouse, simulate
    from dlif_core.phantom.scanner import FULL
    from dlif_core.study.config import Kinetics

    steps = Steps()
    mouse = draw_mouse(1, irreversible=True)
    with steps.timed(f"simulation, {' x '.join(map(str, FULL.shape))} x 42"):
        simulated = simulate(mouse, FULL)
    with tempfile.TemporaryDirectory() as name, open_client(workers=WORKERS) as client:
        before = max(workers_ready(client).values())
        for air in ("zero air", "noisy air"):
            if air == "noisy air":
                noise_in_air(simulated.activity, 0.02 * mouse.activity_per_suv)
            with steps.timed(f"{air}: into the store"):
                fit = Kinetics(model="2tcm-irreversible")
                study = write_study(Path(name) / air, simulated.scan, simulated.truth.input_function, fit)
            spent = processor_seconds(client)
            with client.executor() as executor:
                seconds = [study.maps(executor) for _ in range(REPEATS)]
            spent = (processor_seconds(client) - spent) / REPEATS
            every = ", ".join(f"{one:.2f}" for one in seconds)
            print(f"{air}: maps on {WORKERS} workers, median of {every} s, {verdict(median(seconds), LIMIT)};", end=" ")
            print(f"{spent:.1f} s of their processors", flush=True)
        peak = max(client.run(peak_memory).values())
    print(f"peak memory of a worker {peak / 1e6:.0f} MB, of it {before / 1e6:.0f} MB before any work")


if __name__ == "__main__":
    main()
