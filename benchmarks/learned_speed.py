"""The learned input function of one mouse at the scanner's own voxels (96 x 48 x 48 x 42), against its limits.

In a separate process for each number of threads: time of the first curve after the start, including loading of the
model, scope check, all networks, band and samples. Limits: 10 s on two cores and 1.5 GB at the peak. If there is a GPU,
the networks alone are timed on it too (limit .2 s), and their curve is compared with that of the CPU.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

LIMIT_SECONDS, LIMIT_GIGABYTES, GPU_SECONDS = 10.0, 1.5, 0.2


def measure() -> None:
    """Print seconds and peak memory as JSON."""
    from dlif_core.input_function import estimate
    from dlif_core.phantom import HELD_OUT, draw, simulate

    scan = simulate(*draw(0, HELD_OUT)).scan
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    estimate("learned", scan, ())
    first = time.perf_counter() - started
    started = time.perf_counter()
    estimate("learned", scan, ())
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    again = time.perf_counter() - started
    print(json.dumps({"first": first, "again": again, "before": before / 2**20, "peak": after / 2**20}))


def compare_devices() -> None:
    """Print the time of the networks on the GPU, and by how much their curve differs from the CPU's."""
    import numpy as np
    import torch

    from dlif_core.networks.bundle.model import load_model
    from dlif_core.networks.prediction.ensemble import predict_ensemble
    from dlif_core.networks.prediction.scan import network_scan
    from dlif_core.phantom import HELD_OUT, draw, simulate

    scan, networks = simulate(*draw(0, HELD_OUT)).scan, load_model().networks
    curves = {}
    for device in (torch.device("cpu"), torch.device("cuda")):
        moved = [network.to(device) for network in networks]
        for _ in range(3):
            started = time.perf_counter()
            curves[device.type] = predict_ensemble(moved, network_scan(scan, device)).whole_blood
            seconds = time.perf_counter() - started
    difference = np.abs(curves["cuda"] - curves["cpu"]).max() / curves["cpu"].max()
    print(
        f"{torch.cuda.get_device_name()}: {seconds:.3f} s ({seconds / GPU_SECONDS:.2f} of the limit); "
        f"differs from the CPU by {difference:.1e} of the peak"
    )


def main() -> None:
    import torch

    for threads in (1, 2):
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        output = subprocess.run([sys.executable, __file__, "--one"], env=environment, capture_output=True, check=True)
        found = json.loads(output.stdout)
        print(
            f"{threads} threads: first {found['first']:5.2f} s ({found['first'] / LIMIT_SECONDS:.2f} of the limit), "
            f"again {found['again']:5.2f} s; peak {found['peak']:.2f} GB "
            f"({found['peak'] / LIMIT_GIGABYTES:.2f} of the limit), of it {found['before']:.2f} GB from the simulation"
        )
    if torch.cuda.is_available():
        compare_devices()


if __name__ == "__main__":
    measure() if "--one" in sys.argv else main()
