"""CPU of a study in a bucket against the same study on the local disk, in turns in one process.

The server runs on this machine, in a process of its own that is not counted. Light fits and few voxels are the worst
case: nearly all that is done is to read and write small files.

    python -m benchmarks.s3_cost [--scans 2] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec

from dlif_core.storage import file_system
from dlif_core.study.config import load_study
from flows.serial import run_shard
from tests.platform.s3 import BUCKET, S3Server
from tests.platform.s3_study import require_same, upload, write_study


def run(study: str) -> tuple[float, int]:
    """CPU of a run of a study [s], all threads together, and its steps."""
    config = load_study(study)
    began = time.process_time()
    with ThreadPoolExecutor(1) as executor:
        steps = len(run_shard(config, executor))
    return time.process_time() - began, steps


def main() -> None:
    """Print the CPU of each round and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        server = S3Server(Path(place) / "s3")
        os.environ.update(server.environment)
        server.start()
        try:
            measure(server, Path(place) / "study", options.scans, options.rounds)
        finally:
            server.kill()


def measure(server: S3Server, folder: Path, scans: int, rounds: int) -> None:
    """Run a study in turns here and there."""
    fsspec.filesystem("s3").mkdir(BUCKET)
    folder.mkdir()
    study = write_study(folder, scans)
    run(str(study))  # what is compiled and imported once is no part of either
    ratios: list[float] = []
    for number in range(rounds):
        shutil.rmtree(folder / "results")
        local, _ = run(str(study))
        place = server.uri(f"round{number}")
        upload(folder / "bids", f"{place}/bids")
        upload_file(study, f"{place}/study.yaml")
        remote, steps = run(f"{place}/study.yaml")
        ratios.append(remote / local)
        print(f"local {local:6.2f} s   S3 {remote:6.2f} s   ratio {ratios[-1]:.2f}   ({steps} steps)")
        require_same(f"{place}/results", str(folder / "results"))
    print(f"median ratio {statistics.median(ratios):.2f}")


def upload_file(path: Path, uri: str) -> None:
    """Copy a file into a bucket."""
    fs, target = file_system(uri)
    fs.pipe_file(target, path.read_bytes())


if __name__ == "__main__":
    main()
