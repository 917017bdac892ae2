"""The learned input function of one mouse at the scanner's own voxels (96 x 48 x 48 x 42), against its limits.

In a process of its own for each number of threads: the first curve after the start, models loaded, with image, scope
check, five networks, band and samples. Limits: 10 s on two cores and 1.5 GB at the peak.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

LIMIT_SECONDS, LIMIT_GIGABYTES = 10.0, 1.5


def measure() -> None:
    """Print seconds and peak memory as JSON."""
    from dlif_core.input_function import estimate
    from dlif_core.phantom import HELD_OUT, draw, simulate

    scan = simulate(*draw(0, HELD_OUT)).scan
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    estimate("learned", scan, (), {})
    first = time.perf_counter() - started
    started = time.perf_counter()
    estimate("learned", scan, (), {})
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    again = time.perf_counter() - started
    print(json.dumps({"first": first, "again": again, "before": before / 2**20, "peak": after / 2**20}))


def main() -> None:
    for threads in (1, 2):
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        output = subprocess.run([sys.executable, __file__, "--one"], env=environment, capture_output=True, check=True)
        found = json.loads(output.stdout)
        print(
            f"{threads} threads: first {found['first']:5.2f} s ({found['first'] / LIMIT_SECONDS:.2f} of the limit), "
            f"again {found['again']:5.2f} s; peak {found['peak']:.2f} GB "
            f"({found['peak'] / LIMIT_GIGABYTES:.2f} of the limit), of it {found['before']:.2f} GB from the simulation"
        )


if __name__ == "__main__":
    measure() if "--one" in sys.argv else main()
