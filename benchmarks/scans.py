"""Simulated scans in a store and their maps, made as a study makes them: shared by the benchmarks of whole scans."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import distributed
import numpy as np

from dlif_core.curve import InputFunction
from dlif_core.ingest import IngestedScan, ScanFiles
from dlif_core.scan import DynamicScan
from dlif_core.store import Fingerprint, Store, create_store
from dlif_core.study.config import Kinetics, StudyConfig
from dlif_core.study.job import ScanJob
from dlif_core.study.products import fit_name, input_function_name, source_name
from dlif_core.study.running import run_step
from dlif_core.study.source import write_source
from dlif_core.study.step import Step

SCAN, METHOD = "simulated", "arterial"
_FINGERPRINT = Fingerprint({"made by": "benchmark"})


@dataclass(frozen=True)
class Study:
    """A study of one scan that is ingested and has its input function."""

    config: StudyConfig

    @property
    def store(self) -> Store:
        return create_store(self.config.output)

    def maps(self, executor: distributed.cfexecutor.ClientExecutor, index: int = 0) -> float:
        """Make the maps of one analysis; wall seconds."""
        title = self.config.kinetics[index].title
        step = Step(
            scan=SCAN,
            stage="maps",
            variant=title,
            product=fit_name(SCAN, title, "maps"),
            fingerprint=_FINGERPRINT,
            needs=(source_name(SCAN),),
            any_of=(input_function_name(SCAN, METHOD),),
        )
        started = time.perf_counter()
        files = ScanFiles(SCAN, root="", reader="", files={})
        outcome = run_step(ScanJob(self.config, step, files), executor)
        assert outcome.status == "success", outcome
        return time.perf_counter() - started


def write_study(folder: Path, scan: DynamicScan, curve: InputFunction, *fits: Kinetics) -> Study:
    """Put a scan and its input function into a new store, the image shard by shard."""
    config = StudyConfig(name="benchmark", data="", output=str(folder), input_functions={METHOD: {}}, kinetics=fits)
    study = Study(config)
    with study.store.stage(source_name(SCAN)) as staging:
        write_source(staging, IngestedScan(scan, (), ()))
        staging.publish(_FINGERPRINT)
    with study.store.stage(input_function_name(SCAN, METHOD)) as staging:
        staging.write_dataset(curve.to_dataset())
        staging.publish(_FINGERPRINT)
    return study


@dataclass
class Steps:
    """Wall seconds of the steps of a benchmark, printed as they end."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[what] = time.perf_counter() - started
        print(f"{what:48} {self.seconds[what]:8.2f} s", flush=True)


def peak_memory() -> int:
    """Largest resident size of this process so far [bytes]; unlike getrusage, not that of the process it came from."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def processor_seconds(client: distributed.Client) -> float:
    """Processor time of all workers so far; other work on the machine hardly changes it."""
    return float(sum(client.run(time.process_time).values()))


def workers_ready(client: distributed.Client) -> dict[str, int]:
    """Import in every worker what a fit needs; return the peak memory of each before any work."""
    return client.run(_ready)


def _ready() -> int:
    for module in ("kinetics.compartment", "kinetics.voxels", "store.arrays", "study.maps"):
        importlib.import_module(f"dlif_core.{module}")
    return peak_memory()


def print_load() -> None:
    """Print the load of the machine: wall times mean little on a busy one."""
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def verdict(value: float, limit: float, *, at_least: bool = False) -> str:
    met = value >= limit if at_least else value <= limit
    return f"target {'≥' if at_least else '≤'} {limit:,g}: {'met' if met else 'NOT MET'}"


def one_thread() -> None:
    """Set the number of threads of this process and those it starts; to be called before NumPy or torch is used."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"


def noise_in_air(image: np.ndarray, level: float, seed: int = 0) -> None:
    """Add noise of a mean level to every voxel that is zero in all frames, in place, so that no voxel is masked."""
    rng = np.random.default_rng(seed)
    empty = ~image.any(axis=0)
    count = int(empty.sum())
    for frame in image:
        frame[empty] = rng.standard_exponential(count, dtype=np.float32) * np.float32(level)
