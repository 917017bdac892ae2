"""Runs studies of spoilt data: each must be refused, with a file and a reason, or give the right result.

``python -m tests.fuzz --seconds 60 --seed 1``: as many cases as there is time for. ``--cases 5000``: that many.
``--first 137 --cases 1``: one case again, with all that came of it. Cases are the same for the same seed. The exit
status is 1 if there was a fault.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.bench import Bench
from tests.fuzz.judge import Verdict


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="what all cases follow from")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--cases", type=int, default=10**9, help="number of cases")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="time after which no case is begun")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-faults"), help="folder for inputs of cases with faults")
    parser.add_argument("--verbose", action="store_true", help="print every case")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Run cases and print the faults, and the number of cases by verdict; 1 if there was a fault."""
    asked = _arguments(words)
    verdicts: Counter[Verdict] = Counter()
    slowest, highest = 0.0, 0
    with tempfile.TemporaryDirectory(prefix="dlif-fuzz-", ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder))
        begun = time.monotonic()
        for number in range(asked.first, asked.first + asked.cases):
            if time.monotonic() - begun > asked.seconds:
                break
            started = time.process_time()
            case = bench.spoil(asked.seed, number)
            slowest, highest = max(slowest, time.process_time() - started), max(highest, case.outcome.peak)
            verdicts[case.judgement.verdict] += 1
            if asked.verbose or asked.cases == 1 or case.judgement.verdict is Verdict.FAULT:
                print(str(case).encode("utf-8", "backslashreplace").decode(), flush=True)
            if case.judgement.verdict is Verdict.FAULT:
                bench.keep(case, asked.keep)
    print(f"seed {asked.seed}: {verdicts.total()} cases from {asked.first} on in {time.monotonic() - begun:.0f} s")
    for verdict in Verdict:
        print(f"  {verdicts[verdict]:6d}  {verdict}")
    print(f"  longest case {slowest:.1f} s of the processor, highest memory {highest / 2**20:.0f} MB")
    return 1 if verdicts[Verdict.FAULT] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
