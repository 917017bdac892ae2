"""Peak memory of fits of blocks, in a process like a worker's: ``block_memory.py JOBS`` prints bytes, one line each.

JOBS is a pickle of pairs, each of a small block, which is fitted first so that everything is loaded, and of the one
that is measured; each block is a pair of job and region.
"""

import ctypes
import pickle
import sys
from pathlib import Path
from typing import Any

import torch

from dlif_core.study.maps import fit_block

torch.set_num_threads(1)


def resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def peak(job: tuple[Any, ...], before_it: tuple[Any, ...]) -> int:
    fit_block(*before_it)
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    for _ in range(2):  # a worker fits one block after the other
        fit_block(*job)
    return resident("VmHWM") - before


if __name__ == "__main__":
    for small, measured in pickle.loads(Path(sys.argv[1]).read_bytes()):
        # What a machine short of memory took out of the libraries comes back the first time, and is none of the fit's.
        print(min(peak(measured, small) for _ in range(2)))
