"""The arithmetic of a training: convolutions in float32, or in bfloat16 where the device computes it faster.

Processors with bfloat16 instructions train several times faster in bfloat16. On others PyTorch emulates it, which was
measured to take 53 times as long as float32. PyTorch reports the instructions of a processor, but not in every
version and not what is fast, so a small convolution is timed in both arithmetics, once per process.
"""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Literal, get_args

import torch
from torch.nn import functional

from dlif_core.errors import ConfigurationError

Arithmetic = Literal["float32", "bfloat16"]

#: Environment variable that states the arithmetic, whatever the device does fast.
VARIABLE = "DLIF_TRAINING_DTYPE"

# bfloat16 is taken where it needs less than this part of the time that float32 needs
_CLEARLY_FASTER = 0.8
# the convolution that is timed: channels and voxels along each axis, about those of a network's middle level
_CHANNELS, _LENGTH, _REPEATS = 16, 12, 3


def training_arithmetic(device: torch.device) -> Arithmetic:
    """Arithmetic in which networks are trained on a device.

    Parameters
    ----------
    device
        The device: on a CPU the faster arithmetic is taken, on any other device bfloat16.

    Raises
    ------
    ConfigurationError
        If the environment variable `DLIF_TRAINING_DTYPE` states anything but ``float32`` or ``bfloat16``.
    """
    stated = os.environ.get(VARIABLE)
    if not stated:
        return _faster_on_cpu() if device.type == "cpu" else "bfloat16"
    for known in get_args(Arithmetic):
        if stated == known:
            return known  # type: ignore[no-any-return]
    raise ConfigurationError(
        f"{stated!r} is no arithmetic of a training.",
        where=VARIABLE,
        hint=f"Use one of {', '.join(get_args(Arithmetic))}, or leave it unset to take the faster one.",
    )


def convolving(arithmetic: Arithmetic, device: torch.device) -> AbstractContextManager[object]:
    """Context in which PyTorch computes convolutions in this arithmetic."""
    return nullcontext() if arithmetic == "float32" else torch.autocast(device.type, torch.bfloat16)


@cache
@torch.enable_grad()
def _faster_on_cpu() -> Arithmetic:
    """The arithmetic in which this processor trains faster, timed in some tens of milliseconds."""
    seconds = {arithmetic: _convolution_time(arithmetic) for arithmetic in ("float32", "bfloat16")}
    return "bfloat16" if seconds["bfloat16"] < _CLEARLY_FASTER * seconds["float32"] else "float32"


def _convolution_time(arithmetic: Arithmetic) -> float:
    """Shortest time of a convolution with its gradients [s]; the first run, which prepares kernels, does not count."""
    weight = torch.full((_CHANNELS, _CHANNELS, 3, 3, 3), 0.01, requires_grad=True)
    image = torch.ones(1, _CHANNELS, *(_LENGTH,) * 3, requires_grad=True)
    times = []
    for _ in range(1 + _REPEATS):
        begin = time.perf_counter()
        with convolving(arithmetic, image.device):
            found = functional.conv3d(image, weight, padding=1)
        torch.autograd.grad(found.float().sum(), (image, weight))
        times.append(time.perf_counter() - begin)
    return min(times[1:])
