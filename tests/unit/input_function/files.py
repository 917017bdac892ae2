"""Input functions of known truth written as the programs write them."""

import json
from pathlib import Path

import numpy as np

from dlif_core.frames import FrameTiming
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

END = 5400.0
MC1 = Acquisition("MC1", 1220.0, 7e8, 70.0, species="human", injection_start=0.0)
TIME = np.unique(np.concatenate([np.arange(0, 120, 2.0), np.arange(120, 600, 20.0), np.arange(600, END + 1, 100.0)]))
BLOODSTREAM = {
    "time": {"Description": "Interpolated time in relation to time zero defined in _pet.json", "Units": "s"},
    "whole_blood_radioactivity": {"Units": "Bq"},
    "plasma_radioactivity": {"Units": "Bq"},
    "AIF": {"Units": "Bq"},
}
TABLE = {"columns": {"time": "t", "whole_blood": "wb", "plasma": "cp", "parent": "aif", "parent_fraction": "ppf"}}
TABLE |= {"units": "kBq/mL", "time_unit": "min", "decay_corrected_to": "injection"}  # type: ignore[dict-item]


def scan(acquisition: Acquisition = MC1, end: float = END) -> DynamicScan:
    timing = FrameTiming(np.arange(0, end, 60), np.full(int(end / 60), 60.0))
    return DynamicScan(timing, acquisition, RegionCurves(("brain",), np.full((1, len(timing)), 8e3), np.ones(1)))


def whole_blood(time: np.ndarray) -> np.ndarray:
    """A bolus [Bq/mL] whose tail falls by 0.01 per min."""
    return np.asarray(np.where(time < 30, 3e3 * time, 9e4 * np.exp(-(time - 30) / 40) + 1e4 * np.exp(-time / 6000)))


def fraction(time: np.ndarray) -> np.ndarray:
    return np.asarray(0.3 + 0.7 * np.exp(-time / 900))


def plasma(time: np.ndarray) -> np.ndarray:
    return 1.3 * whole_blood(time)


def parent(time: np.ndarray) -> np.ndarray:
    return plasma(time) * fraction(time)


def text(separator: str = "\t", **columns: np.ndarray) -> str:
    rows = zip(*columns.values(), strict=True)
    lines = [separator.join(columns), *(separator.join(f"{value:.10g}" for value in row) for row in rows)]
    return "\n".join(lines).replace("nan", "NA") + "\n"


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def bloodstream(path: Path, time: np.ndarray = TIME, *, injection: float = 0.0, sidecar: bool = True) -> Path:
    """The curve as bloodstream writes it: from time zero, decay-corrected to it, in Bq/mL called Bq."""
    decay = 2.0 ** (-injection / MC1.half_life)  # activity at the injection, brought back to time zero
    columns = {
        "time": time + injection,
        "whole_blood_radioactivity": whole_blood(time) / decay,
        "plasma_radioactivity": plasma(time) / decay,
        "metabolite_parent_fraction": fraction(time),
        "AIF": parent(time) / decay,
    }
    if sidecar:
        write(path.with_suffix(".json"), json.dumps(BLOODSTREAM))
    return write(path, text(**columns))


def pmod(path: Path, header: str, values: np.ndarray, time: np.ndarray = TIME) -> Path:
    """One quantity as PMOD writes it, in minutes."""
    rows = "".join(f"{t:.10g}\t{value:.10g}\n" for t, value in zip(time / 60, values, strict=True))
    return write(path, f"sample-time[minutes]\t{header}\n{rows}")


def table(path: Path, time: np.ndarray = TIME, separator: str = ",") -> Path:
    columns = {"t": time / 60, "wb": whole_blood(time) / 1e3, "cp": plasma(time) / 1e3}
    return write(path, text(separator, **columns, aif=parent(time) / 1e3, ppf=fraction(time)))
