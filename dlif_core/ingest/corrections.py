"""Corrections of a scan that a study asks for, between its reader and the checks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.ingest.motion import MotionCorrection, corrected_for_motion
from dlif_core.ingest.partial_volume import PartialVolume, corrected_for_partial_volume
from dlif_core.ingest.reader import IngestedScan


@dataclass(frozen=True)
class Corrections:
    """What is corrected; nothing by default.

    Attributes
    ----------
    partial_volume
        Partial-volume correction of the regions, after that of motion.
    motion
        Motion correction between frames.
    """

    partial_volume: PartialVolume | None = None
    motion: MotionCorrection | None = None

    def facts(self) -> dict[str, Any]:
        """What decides the corrected scan, by setting; nothing where nothing is corrected."""
        asked = {"data.motion_correction": self.motion, "regions.partial_volume": self.partial_volume}
        return {name: options.model_dump(mode="json") for name, options in asked.items() if options is not None}


NO_CORRECTIONS = Corrections()


@contextmanager
def corrected(read: IngestedScan, corrections: Corrections) -> Iterator[IngestedScan]:
    """Correct a scan; corrected images lie in temporary files (of TMPDIR) until the context ends.

    Raises
    ------
    ImageError
        If the scan can't be corrected.
    """
    with ExitStack() as stack:
        if corrections.motion is not None:
            read = corrected_for_motion(read, corrections.motion, _target(read, stack))
        if corrections.partial_volume is not None:
            target = _target(read, stack) if corrections.partial_volume.method == "rbv" else None
            read = corrected_for_partial_volume(read, corrections.partial_volume, target)
        yield read


def _target(read: IngestedScan, stack: ExitStack) -> NDArray[np.float32] | None:
    """An array on disk of the shape of the scan's image."""
    if read.scan.activity is None:
        return None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dlif-"))
    return np.memmap(Path(folder) / "image", np.float32, "w+", shape=tuple(read.scan.activity.shape))
