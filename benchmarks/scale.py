"""What a study of many scans costs beside its computation: plan, status, a run with nothing to do, steps, files.

    python benchmarks/scale.py 100 1000 10000          plan, status, run without work
    python benchmarks/scale.py --compute 10 40         every step for real, on a local Dask cluster

All scans have the files of one simulated mouse on a coarse grid, by hard links. Without --compute the products are tiny
ones that were published by the commit protocol, with the fingerprints of the study's own plan.
"""

from __future__ import annotations

import argparse
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from scans import peak_memory, print_load

from dlif_core.compute.cluster import open_client
from dlif_core.phantom import write_cohort
from dlif_core.store import open_store
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.job import Job, Outcome
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.running import cohort_jobs, run_in_order, run_step, scan_jobs
from dlif_core.study.step import Step

STUDY = """name: scale
data: bids
output: results
input_functions: {arterial: {}, population: {}}
kinetics:
  - {model: patlak, t_star: 20}
  - {model: 2tcm-irreversible, maps: false}
"""
PROCESSES, THREADS = 2, 16


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds by the clock and of CPU, and its largest memory [MB]."""

    wall: float
    cpu: float
    memory: float

    def line(self, what: str, steps: int) -> str:
        per_step = 1e3 * self.cpu / steps
        return (
            f"{what:14} {self.wall:7.2f} s, {self.cpu:7.2f} s of CPU ({per_step:6.3f} ms a step), {self.memory:5.0f} MB"
        )


def main() -> None:
    arguments = _arguments()
    print_load()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for count in arguments.scans:
            study = write_study(Path(folder) / str(count), count)
            (measure_steps if arguments.compute else measure_bookkeeping)(study, count)
            shutil.rmtree(study.parent)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", type=int, nargs="+", help="numbers of scans")
    parser.add_argument("--compute", action="store_true", help="run every step")
    parser.add_argument("--folder", help="where the studies are written; /dev/shm leaves out the disk")
    return parser.parse_args()


def write_study(folder: Path, count: int) -> Path:
    """Write a study of many scans with the same files; its path."""
    data = folder / "bids"
    write_cohort(data, 1, voxel_size=3.0)
    shutil.rmtree(data / "derivatives")
    (template,) = data.glob("sub-*")
    names = [f"sub-x{number:05}" for number in range(1, count)]
    with open(data / "participants.tsv", "r+") as table:
        row = table.read().splitlines()[-1]
        table.writelines(f"{row.replace(template.name, name)}\n" for name in names)
    for name in names:
        for file in template.rglob("*.*"):
            link = data / name / "pet" / file.name.replace(template.name, name)
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, link)
    (folder / "study.yaml").write_text(STUDY)
    return folder / "study.yaml"


def measure_bookkeeping(study: Path, count: int) -> None:
    """Print the cost of the commands that only look, before and after a study was run."""
    config = load_study(study)
    first = run("plan", study)
    plan = make_plan(config, open_study_store(config))
    steps = len(plan.steps)
    print(f"\n{count} scans, {steps} steps")
    print(first.line("first plan", steps))
    publish(config, plan.to_run)
    publish_cohort(config)
    for verb in ("plan", "status", "run"):
        print(run(verb, study).line(f"dlif {verb}", steps))


def measure_steps(study: Path, count: int) -> None:
    """Print what every step takes of the driver, which here is the Dask scheduler too, and what it leaves."""
    config = load_study(study)
    plan = make_plan(config, open_study_store(config))
    jobs = scan_jobs(config, plan)
    sizes = [len(pickle.dumps(job)) for job in jobs]
    print(f"\n{count} scans, {len(jobs)} steps; a step travels in {sum(sizes) / len(sizes) / 1e3:.1f} kB")
    with open_client("local", PROCESSES) as client, client.get_executor(pure=False) as executor:
        run = partial(run_step, executor=executor)
        list(run_in_order(jobs[:7], run))  # workers import
        measure("steps", jobs[7:], run)
        measure("cohort", cohort_jobs(config, plan), run)
    files = [path for room in ("scans", "reports") for path in Path(config.output, room).rglob("*") if path.is_file()]
    print(f"{len(files) / count:.1f} files a scan")


def measure(what: str, jobs: Sequence[Job], run: Callable[[Job], Outcome]) -> None:
    """Run the steps of several scans at once, as a flow does, and print the cost."""
    scans = [list(steps) for _, steps in groupby(jobs, key=lambda job: job.step.scan)]
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda steps: list(run_in_order(steps, run)), scans)
        outcomes = [outcome for steps in found for outcome in steps]
    assert all(outcome.status == "success" for outcome in outcomes), outcomes
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(Cost(wall, cpu, peak_memory() / 1e6).line(what, len(jobs)), flush=True)


def run(verb: str, study: Path) -> Cost:
    """Run a command of ``dlif`` in a process of its own."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", verb, str(study)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"dlif {verb}: {said.decode()}")
    wall = time.perf_counter() - started
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3)


def publish(config: StudyConfig, steps: Sequence[Step]) -> None:
    """Publish a tiny product for each of some steps."""
    with ProcessPoolExecutor(PROCESSES) as pool:
        list(pool.map(_publish, [config.output] * PROCESSES, [steps[part::PROCESSES] for part in range(PROCESSES)]))


def _publish(output: str, steps: Sequence[Step]) -> None:
    store = open_store(output)
    for step in steps:
        store.stage(step.product).publish(step.fingerprint)


def publish_cohort(config: StudyConfig) -> None:
    """Publish what is left when all scans are done."""
    publish(config, make_plan(config, open_study_store(config)).to_run)


if __name__ == "__main__":
    main()
