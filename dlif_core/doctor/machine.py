"""The machine: cores, memory, disk, open files, GPU."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator

from dlif_core.doctor.probe import Diagnosis, Surroundings, doubtful, sound

#: Least free space for temporary copies of images [bytes], memory of a worker [bytes], and files open at once.
_SPACE, _MEMORY, _FILES = 5 * 10**9, 2 * 10**9, 4096


def look_at_machine(_: Surroundings) -> Iterator[Diagnosis]:
    """What the machine offers to this program, by the limits of its container or job too."""
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    yield sound("cores", f"{CPU_COUNT} of {os.cpu_count()} for this program")
    memory = f"{MEMORY_LIMIT / 1e9:.1f} GB"
    if MEMORY_LIMIT < _MEMORY * CPU_COUNT:
        yield doubtful(
            "memory",
            f"{memory}, less than {_MEMORY / 1e9:g} GB for each core",
            "Use fewer workers (`--workers`); `dlif plan` says what one needs.",
        )
    else:
        yield sound("memory", memory)
    yield _space()
    yield _files()


def _space() -> Diagnosis:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free in {folder}"
    if free < _SPACE:
        return doubtful("temporary files", found, "Make room, or set TMPDIR: unpacked images lie there for a while.")
    return sound("temporary files", found)


def _files() -> Diagnosis:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{soft} at once" if soft != resource.RLIM_INFINITY else "no limit"
    if 0 <= soft < _FILES:
        return doubtful("open files", found, f"`ulimit -n {min(hard, 65536) if hard > 0 else 65536}` before a run.")
    return sound("open files", found)


def look_at_gpu(_: Surroundings) -> Iterator[Diagnosis]:
    """The GPU, and whether PyTorch can use it."""
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        yield sound("GPU", f"{torch.cuda.get_device_name()}, {free / 1e9:.0f} of {total / 1e9:.0f} GB free")
    elif shutil.which("nvidia-smi") and os.path.exists("/dev/nvidiactl"):
        yield doubtful(
            "GPU",
            f"there is one, but PyTorch {torch.__version__} doesn't use it",
            "Install a PyTorch for its CUDA (https://pytorch.org), or leave it: networks run on the processor.",
        )
    else:
        yield sound("GPU", "none; networks run on the processor")
