"""A package that adds one kinetic model, one input-function method and one reader to dlif, as small as they can be."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.ingest import ImageGeometry, IngestedScan, ReaderOptions, ScanFiles, ScanSource
from dlif_core.input_function.method import Method, Options
from dlif_core.kinetics import Estimates, Estimator, FitContext, FitSettings, FitStatus, Model, Parameter
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves


class MeanRatio:
    """Fits the ratio of a curve's mean over all frames to that of the plasma."""

    def __init__(self, context: FitContext) -> None:
        assert context.input_function is not None
        self._duration = context.timing.duration
        self._plasma = context.input_function.frame_average(context.timing)[1]

    def fit(self, activity: np.ndarray) -> Estimates:
        """Ratios of curves of shape (frames, curves)."""
        ratio = self._duration @ activity / (self._duration @ self._plasma)
        unknown, status = np.full(len(ratio), np.nan), np.full(len(ratio), FitStatus.CONVERGED, np.uint8)
        return Estimates(ratio[None], unknown[None], status, unknown)

    def fitted(self, activity: np.ndarray, estimates: Estimates) -> np.ndarray:
        """Plasma times ratio, shape (frames, curves)."""
        return np.asarray(self._plasma[:, None] * estimates.values)


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    return MeanRatio(context)


MODEL = Model(
    name="toy-ratio",
    title="Mean tissue over mean plasma",
    parameters=(Parameter("ratio", "1", "mean tissue activity over mean plasma activity"),),
    engine=_engine,
)


class RiseOptions(Options):
    """Options of the straight line; `slope` is its rise [Bq/mL/s]."""

    slope: float = 1.0


def _rise(scan: DynamicScan, recordings: Sequence[BloodRecording], options: RiseOptions) -> InputFunction:
    time = np.array([0.0, scan.timing.end[-1]])
    return InputFunction(time, options.slope * time, options.slope * time, method="toy-rise")


METHOD = Method("toy-rise", "Straight line", RiseOptions, _rise)


class CsvReader:
    """Reads ``<scan>.csv``: columns start and end [s] and one for each region [Bq/mL]."""

    name = "toy-csv"
    title = "CSV of region curves"
    version = 1
    looks_for = "*.csv"
    options = ReaderOptions

    def recognises(self, uri: str) -> bool:
        """Whether there is a table."""
        return any(Path(uri).glob("*.csv"))

    def find(self, source: ScanSource) -> list[ScanFiles]:
        """One scan for each table."""
        tables = sorted(Path(source.uri).glob("*.csv"))
        return [ScanFiles(path.stem, source.uri, self.name, {"table": (str(path),)}) for path in tables]

    @contextmanager
    def open(self, files: ScanFiles) -> Iterator[IngestedScan]:
        """The scan of a table."""
        (path,) = files.role("table")
        header, *rows = csv.reader(Path(path).read_text().splitlines())
        start, end, *curves = np.array(rows, float).T
        regions = RegionCurves(tuple(header[2:]), curves, np.full(len(curves), np.nan), path)
        scan = DynamicScan(FrameTiming(start, end - start), Acquisition("toy", 6586.2), regions)
        yield IngestedScan(scan, (), ())

    def geometry(self, files: ScanFiles) -> ImageGeometry | None:
        """None: there is no image."""
        return None


READER: Any = CsvReader()
