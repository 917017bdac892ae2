"""What conditions and splits cost in a catalog of many scans, against reading the same columns with pyarrow alone.

    python benchmarks/catalog_scale.py 1000 100000

Rows are made up. Each measurement is the best of three in a process of its own, after imports. The ratio is that of the
processor's time to a plain read of the same columns; the whole file is read for comparison.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

CONDITION = (
    "species == 'mouse' and 'arterial' in input_functions and arterial_samples >= 20 and scope != 'out of scope'"
)
SHOWN = ("site", "scan", "species", "tracer", "arterial_samples", "input_functions")
READ = ("species", "input_functions", "arterial_samples", "scope")
BATCH, REPEATED = 1000, 3


def made_up_rows(count: int) -> Iterator[list[dict[str, Any]]]:
    """Rows with texts of usual lengths: 40 sites, two scans of each animal, 16 regions and 6 products."""
    rng = np.random.default_rng(1)
    for first in range(0, count, BATCH):
        yield [_row(number, rng) for number in range(first, min(first + BATCH, count))]


def _row(number: int, rng: np.random.Generator) -> dict[str, Any]:
    animal, site = number // 2, f"site{number // 2 % 40:02d}"
    names = ["input_functions/arterial", "input_functions/learned", "kinetics/patlak/regions", "kinetics/patlak/maps"]
    digest = rng.bytes(32).hex
    return {
        "site": site,
        "study": f"study of {site}",
        "store": f"s3://pet/{site}/results",
        "scan": f"sub-{animal:06d}_ses-{number % 2}",
        "subject": f"sub-{animal:06d}",
        "session": f"ses-{number % 2}",
        "animal": f"study of {site}:sub-{animal:06d}",
        "status": "success",
        "fingerprint": digest(),
        "data_digest": rng.bytes(32).hex(),
        "species": ("mouse", "mouse", "rat", "human")[animal % 4],
        "tracer": ("FDG", "raclopride", "FMISO")[animal % 3],
        "injected_activity": float(rng.uniform(5e6, 1e7)),
        "body_weight": float(rng.uniform(0.02, 0.03)),
        "frames": int(rng.integers(20, 60)),
        "image": True,
        "regions": [f"region {index}" for index in range(16)],
        "recordings": ["manual"],
        "arterial_samples": int(rng.integers(0, 40)),
        "blood_peak": float(rng.uniform(1e5, 1e6)),
        "input_functions": ["arterial", "learned"][: number % 3],
        "scope": ("in scope", "doubtful", "out of scope")[number % 3],
        "scope_reasons": [],
        "analyses": ["patlak"],
        "products": [{"name": name, "status": "success", "reason": "", "fingerprint": digest()} for name in names],
    }


def read_plainly(path: str) -> int:
    import pyarrow.parquet as parquet

    return int(parquet.read_table(path, columns=list(dict.fromkeys([*SHOWN, *READ]))).num_rows)


def query(path: str) -> int:
    from dlif_core.catalog.filters import CatalogFilter, read_filtered

    return int(read_filtered(path, CatalogFilter(CONDITION), SHOWN).num_rows)


def read_for_split(path: str) -> int:
    import pyarrow.parquet as parquet

    from dlif_core.catalog.splits import SPLIT_COLUMNS

    return int(parquet.read_table(path, columns=list(SPLIT_COLUMNS)).num_rows)


def split(path: str) -> int:
    from dlif_core.catalog.splits import SHARES, CatalogSplit, split_catalog

    counts = split_catalog(path, CatalogSplit(0, SHARES, ("site03",)), "", f"{path}.json")
    return sum(scans for _, scans in counts.values())


def read_all(path: str) -> int:
    import pyarrow.parquet as parquet

    return int(parquet.read_table(path).num_rows)


WORKS: dict[str, Callable[[str], int]] = {
    one.__name__: one for one in (read_plainly, query, read_for_split, split, read_all)
}
AGAINST = {"query": "read_plainly", "split": "read_for_split"}


def measure(work: str, path: str) -> None:
    """Print what a work costs this process, as JSON: rows, seconds of the processor, memory [MB] before and at most."""
    for name in ("pyarrow.compute", "pyarrow.dataset", "pyarrow.parquet", "dlif_core.catalog.splits"):
        importlib.import_module(name)
    before, rows, seconds = peak_memory(), 0, float("inf")
    for _ in range(REPEATED):
        began = time.process_time()
        rows = WORKS[work](path)
        seconds = min(seconds, time.process_time() - began)
    print(json.dumps({"rows": rows, "seconds": seconds, "imports_mb": before, "peak_mb": peak_memory()}))


def peak_memory() -> float:
    """Largest resident size of this process so far [MB]."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", type=int, nargs="+", help="numbers of scans")
    with tempfile.TemporaryDirectory() as folder:
        for count in parser.parse_args().scans:
            _report(count, str(Path(folder) / f"{count}.parquet"))


def _report(count: int, path: str) -> None:
    from dlif_core.catalog.file import write_catalog

    began = time.process_time()
    write_catalog(path, made_up_rows(count))
    made = time.process_time() - began
    size = Path(path).stat().st_size / 1e6
    print(f"\n{count} scans: file of {size:.1f} MB, rows made and written in {made:.1f} s of CPU")
    seconds: dict[str, float] = {}
    for work in WORKS:
        done = subprocess.run(
            [sys.executable, __file__, "--one", work, path], check=True, capture_output=True, text=True
        )
        cost = json.loads(done.stdout)
        seconds[work] = cost["seconds"]
        ratio = f", {seconds[work] / seconds[AGAINST[work]]:.1f} times {AGAINST[work]}" if work in AGAINST else ""
        print(
            f"{work:15} {cost['rows']:7d} rows, {cost['seconds']:.3f} s of CPU, "
            f"{cost['peak_mb'] - cost['imports_mb']:4.0f} MB beside {cost['imports_mb']:.0f} MB of imports{ratio}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(*sys.argv[2:4])
    else:
        main()
