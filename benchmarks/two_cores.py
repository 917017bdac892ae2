"""Throughput of two worker processes compared with one, for the maps of a study.

Wall times, so that other work on the machine matters; one and two workers alternate, the median of each is printed.

    python benchmarks/two_cores.py
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from statistics import median

from scans import Study, noise_in_air, one_thread, print_load, verdict, workers_ready, write_study

LIMIT = 1.7
REPEATS = 3


def seconds_on(workers: int, study: Study) -> float:
    from dlif_core.compute.cluster import open_client

    with open_client(workers=workers) as client:
        workers_ready(client)
        with client.executor() as executor:
            return study.maps(executor)


def main() -> None:
    if (os.cpu_count() or 1) < 2:
        print("only one core: nothing to compare")
        return
    one_thread()
    print_load()
    from dlif_core.phantom import draw_mouse, simulate
    from dlif_core.phantom.scanner import FULL
    from dlif_core.study.config import Kinetics

    mouse = draw_mouse(1, irreversible=True)
    simulated = simulate(mouse, FULL)
    noise_in_air(simulated.activity, 0.02 * mouse.activity_per_suv)
    with tempfile.TemporaryDirectory() as name:
        fit = Kinetics(model="2tcm-irreversible")
        study = write_study(Path(name), simulated.scan, simulated.truth.input_function, fit)
        runs = [(seconds_on(1, study), seconds_on(2, study)) for _ in range(REPEATS)]
    one, two = (median(column) for column in zip(*runs, strict=True))
    voxels = simulated.activity[0].size
    print(f"{voxels / one:,.0f} voxels/s on one worker, {voxels / two:,.0f} on two")
    print(f"two workers against one: {one / two:.2f}, {verdict(one / two, LIMIT, at_least=True)}")


if __name__ == "__main__":
    main()
