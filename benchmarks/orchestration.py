"""What Prefect and Dask cost for each step of a scan: driver CPU and memory, and bytes of Prefect's database.

    python benchmarks/orchestration.py [SCANS ...]

Steps are stubbed: they go to a Dask worker and back and do nothing, so that only the orchestration is left. The Prefect
server is a real one in a folder of its own, with the settings of `deployments/prefect.env`. Every size is a process.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

from scans import print_load, verdict

STEPS = 8
CPU_MS, BYTES = 20.0, 2000.0
SETTINGS = Path(__file__).parents[1] / "deployments" / "prefect.env"
PORT = 14299


def main() -> None:
    print_load()
    for scans in [int(text) for text in sys.argv[1:]] or [100, 1000]:
        with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as environment:
            database = Path(folder) / "prefect.db"
            before = size(database)
            command = [sys.executable, __file__, "--driver", str(scans), folder]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            cpu, first, last = (float(text) for text in done.stdout.split()[-3:])
            time.sleep(10)  # the server writes down what it was told
            steps = scans * STEPS
            bytes_a_step = (size(database) - before) / steps
            print(
                f"{scans} scans, {steps} steps: driver {cpu / steps * 1000:.1f} ms CPU a step, "
                f"{verdict(cpu / steps * 1000, CPU_MS)}; {first:.0f} MB before, {last:.0f} MB after; "
                f"database {bytes_a_step:.0f} bytes a step, {verdict(bytes_a_step, BYTES)}",
                flush=True,
            )


@contextmanager
def server(folder: Path):
    settings = dict(line.split("=", 1) for line in SETTINGS.read_text().splitlines() if line and line[0] != "#")
    here = {"PREFECT_HOME": str(folder), "PREFECT_API_URL": f"http://127.0.0.1:{PORT}/api"}
    environment = os.environ | settings | here
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(PORT)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        while not is_up(environment["PREFECT_API_URL"]):
            time.sleep(1)
        yield environment
    finally:
        process.terminate()
        process.wait()


def is_up(url: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def size(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        pages, free, page = (
            connection.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * page


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def driver(scans: int, folder: Path) -> None:
    """Run stubbed steps of so many scans; prints CPU seconds, and the peak memory before and after [MB]."""
    from prefect import flow

    import tasks.steps
    from dlif_core.compute.cluster import open_client
    from dlif_core.store import Fingerprint
    from dlif_core.study.config import load_study
    from dlif_core.study.job import Job, Outcome
    from dlif_core.study.plan import open_study_store
    from dlif_core.study.step import Step
    from flows import study_run
    from flows.watch.logs import send_logs_to_prefect

    def stubbed(job: Job, executor: Executor) -> Outcome:
        executor.submit(type, job).result()  # a job is pickled and goes to a worker
        return Outcome(job.step, "success")

    tasks.steps.run_step = stubbed
    study = folder / "study.yaml"
    study.write_text("name: stub\ndata: data\noutput: out\n")
    config = load_study(study)
    open_study_store(config)

    def jobs(scan: str) -> list[Job]:
        names = [f"scans/{scan}.zarr/step{number}" for number in range(STEPS)]
        return [Job(config, Step(scan, "ingest", name[-1], name, Fingerprint({"of": name}))) for name in names]

    @flow(name="orchestration", task_runner=study_run.RUNNER, persist_result=False)
    def whole() -> tuple[float, float, float]:
        send_logs_to_prefect()
        with open_client("local", 2):
            works = [tasks.steps.ScanWork(f"sub-{n:05d}", jobs(f"sub-{n:05d}"), lambda _: None) for n in range(scans)]
            cpu, first = time.process_time(), peak()
            for title, batch in study_run.batches(works):
                study_run.run_subflow(title, batch, 6)
                print(f"{title}: {peak():.0f} MB", file=sys.stderr, flush=True)
            return time.process_time() - cpu, first, peak()

    print(*whole())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--driver"]:
        driver(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
