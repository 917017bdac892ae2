"""What starting costs beside an empty interpreter: ``import dlif_core``, ``dlif --help`` and reading a study file.

Each is a process of its own, run in turn with the empty interpreter, so that both see the same machine; the fastest of
several runs counts.

    python benchmarks/startup.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scans import print_load, verdict

REPEATS = 15
STUDY = "name: example\ndata: bids\noutput: results\n"
#: What is run, and the most that it may cost beside an empty interpreter [s]; None where nothing is asked for.
CASES: dict[str, tuple[list[str], float | None]] = {
    "import dlif_core": (["-c", "import dlif_core"], 0.1),
    "dlif --help": (["-m", "flows.cli", "--help"], 0.35),
    "load_study": (["-c", "from dlif_core.study.config import load_study; load_study('study.yaml')"], None),
}


def main() -> None:
    print_load()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "study.yaml").write_text(STUDY)
        for title, (arguments, limit) in CASES.items():
            runs = [(seconds(["-c", "pass"], folder), seconds(arguments, folder)) for _ in range(REPEATS)]
            empty, whole = (min(column) for column in zip(*runs, strict=True))
            judged = "" if limit is None else f", {verdict(whole - empty, limit)}"
            print(f"{title}: {whole - empty:.3f} s more than an empty interpreter ({empty:.3f} s){judged}")


def seconds(arguments: list[str], folder: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
