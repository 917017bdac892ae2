"""Opens spoilt files of every format: each must be refused in words, or read.

``python -m tests.fuzz.formats --seed 1 --seconds 60``: as many cases as there is time for, in turn of each format.
``--cases 2000``: that many. A case is a file of a small scan with bytes changed, lost or doubled. A fault is any
exception but a refusal that says where and what, a case of more than 20 s, or one that takes more than 2 GB. The exit
status is 1 if there was a fault.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dlif_core.errors import DlifError
from dlif_core.ingest import ScanSource, open_scan
from tests.contract.reader_samples import SAMPLES, Sample
from tests.contract.toy_reader import ToyReader
from tests.unit.ingest.phantom import mutations

_SECONDS, _BYTES = 20, 2 * 2**30
#: Of large files most changes fall into the beginning, where headers are.
_HEAD = 4096


def main(words: Sequence[str]) -> int:
    """Run cases, print the faults and how many files were refused and read; 1 if there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.formats", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--cases", type=int, default=10**9)
    asked = parser.parse_args(words)
    samples = [sample for sample in SAMPLES if not isinstance(sample.reader, ToyReader)]
    outcomes: Counter[tuple[str, str]] = Counter()
    _limit_memory()
    warnings.simplefilter("ignore")
    begun, slowest = time.monotonic(), 0.0
    with tempfile.TemporaryDirectory(prefix="dlif-fuzz-") as folder:
        for sample in samples:
            sample.make(Path(folder) / sample.reader.name)
        for number in range(asked.cases):
            if time.monotonic() - begun > asked.seconds:
                break
            sample = samples[number % len(samples)]
            started = time.monotonic()
            outcomes[sample.reader.name, spoilt(sample, Path(folder) / sample.reader.name, asked.seed, number)] += 1
            slowest = max(slowest, time.monotonic() - started)
    print(f"seed {asked.seed}: {outcomes.total()} files in {time.monotonic() - begun:.0f} s, longest {slowest:.1f} s")
    for (name, verdict), count in sorted(outcomes.items()):
        print(f"  {count:6d}  {name} {verdict}")
    return int(any(verdict == "fault" for _, verdict in outcomes))


def spoilt(sample: Sample, root: Path, seed: int, number: int) -> str:
    """What becomes of the scans of a folder in which one file is spoilt: ``read``, ``refused`` or ``fault``."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    path = files[np.random.default_rng([seed, number]).integers(len(files))]
    sound = path.read_bytes()
    (changed,) = mutations(sound, 1, _HEAD, seed=1000 * seed + number)
    path.write_bytes(changed)
    signal.alarm(_SECONDS)
    try:
        return _opened(sample, root)
    except Exception:
        print(f"case {number}: {sample.reader.name}, {path.name}", traceback.format_exc(), sep="\n", flush=True)
        return "fault"
    finally:
        signal.alarm(0)
        path.write_bytes(sound)


def _opened(sample: Sample, root: Path) -> str:
    try:
        for files in sample.reader.find(ScanSource(str(root), sample.reader.options())):
            with open_scan(files) as read:
                if read.scan.activity is not None and not np.isfinite(read.scan.activity[...]).all():
                    raise AssertionError("an image that was read holds values that are not finite")
    except DlifError as refusal:
        if refusal.message and (refusal.where or " faults: " in refusal.message):
            return "refused"
        raise
    return "read"


def _limit_memory() -> None:
    def too_long(signal_number: int, frame: object) -> None:
        raise TimeoutError(f"a case took more than {_SECONDS} s")

    signal.signal(signal.SIGALRM, too_long)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + _BYTES, most))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
