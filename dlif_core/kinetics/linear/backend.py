"""Arithmetic of batched linear regression on a processor or another device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.kinetics.context import Array

#: Curves that a processor works on at once, so that they stay in its cache, and that another device does.
_TILE, _TILE_ON_DEVICE = 8192, 1 << 20


class Backend:
    """NumPy on a processor, torch elsewhere; what is written in operators and functions of `lib` runs on both.

    NumPy is about a third faster for matrices that have so few rows.

    Parameters
    ----------
    device
        ``cpu`` or a torch device.

    Attributes
    ----------
    lib
        The module numpy or torch.
    tile
        Curves that are worked on at once.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self.lib: Any = np
        self.tile = _TILE
        if device != "cpu":
            import torch

            self.lib, self.tile = torch, _TILE_ON_DEVICE

    @property
    def _on_host(self) -> bool:
        return self.lib is np

    def constant(self, array: NDArray[Any]) -> Any:
        """An array, where the computation is."""
        return array if self._on_host else self.lib.as_tensor(np.ascontiguousarray(array), device=self._device)

    def tiles(self, activity: NDArray[Any]) -> Iterator[tuple[slice, Any]]:
        """Curves of shape (frames, curves) part by part: float32 as it is, all else as float64."""
        for first in range(0, activity.shape[1], self.tile):
            part = slice(first, first + self.tile)
            tile = activity[:, part]
            yield part, self.constant(tile if tile.dtype == np.float32 else np.asarray(tile, np.float64))

    def rooms(self, curves: int, *rows: int) -> list[Any]:
        """Room for float64 of that many rows of one part of the curves, made once since making it takes time."""
        width = min(curves, self.tile)
        if self._on_host:
            return [np.empty((count, width)) for count in rows]
        return [self.lib.empty((count, width), dtype=self.lib.float64, device=self._device) for count in rows]

    def in_single(self, room: Any) -> Any:
        """The same room for float32 of twice as many rows."""
        return room.view(self.lib.float32).reshape(2 * len(room), -1)

    def single(self, values: Any) -> Any:
        """The values as float32."""
        return values.astype(np.float32) if self._on_host else values.float()

    def combine(self, weights: Any, values: Any) -> Any:
        """Linear combination of the rows of values, in their precision."""
        like = weights.astype(values.dtype) if self._on_host else weights.to(values.dtype)
        return like @ values

    def products(self, first: Any, second: Any) -> Any:
        """Scalar products along the first axis of arrays of shape (rows, curves)."""
        return self.lib.einsum("rc,rc->c", first, second)

    def numpy(self, values: Any) -> Array:
        """The values on the host."""
        return np.asarray(values if self._on_host else values.cpu().numpy())
