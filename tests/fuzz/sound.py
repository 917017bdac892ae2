"""A small sound study with a known answer: two scans as people store them, and what must come of them.

``sub-01`` is FDG in a person: an image with a label image, arterial samples, dose and weight. ``sub-02`` is a tracer
with metabolites: region curves, an autosampler and arterial samples. Tissue is the solution of an ODE solver, and
nothing of dlif is used to make it. Times are in seconds from injection, activities in Bq/mL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

Array = NDArray[np.float64]
Curve = Callable[[Array], Array]

DURATION = np.array([15, 15, 30, 30, 30, 60, 120, 300, 600, 600, 900, 900], dtype=float)
EDGES = np.concatenate([[0.0], np.cumsum(DURATION)])
START, END = EDGES[:-1], float(EDGES[-1])
VB = 0.04
#: K1 [mL/cm³/min], k2, k3 [1/min] of each region, which is a box of voxels (x, y, z).
RATES = {"left": (0.09, 0.16, 0.07), "right": (0.05, 0.10, 0.015)}
BOXES = {"left": np.s_[0:3, 1:7, 1:7], "right": np.s_[3:5, 1:7, 1:7], "pool": np.s_[6:8, 1:7, 1:7]}
KI = {name: k1 * k3 / (k2 + k3) for name, (k1, k2, k3) in RATES.items()}
DOSE, WEIGHT = 185e6, 68.0
SAMPLES = np.unique(np.concatenate([np.arange(0, 90, 4), np.arange(90, 300, 15), np.arange(300, END + 1, 150)]))
DENSE = np.unique(np.concatenate([np.arange(0, 120, 2), np.arange(120, 600, 10), np.arange(600, END + 1, 60)]))


@dataclass(frozen=True)
class Tracer:
    """What is injected: its name, nuclide and half-life [s], and the parent fraction in plasma."""

    name: str
    nuclide: str
    half_life: float
    parent_fraction: Curve


FDG = Tracer("FDG", "F18", 6586.2, np.ones_like)
PBR28 = Tracer("PBR28", "C11", 1221.8, lambda t: 0.2 + 0.8 / (1 + (t / 1100.0) ** 1.5))


def total_plasma(t: Array) -> Array:
    """A bolus that arrives after 10 s and falls to two slow exponentials."""
    s = np.clip(np.asarray(t, dtype=float) - 10.0, 0.0, None)
    bolus = 60e3 * s / 12.0 * np.exp(1 - s / 12.0)
    return np.asarray(bolus + 18e3 * (1 - np.exp(-s / 20.0)) * (0.6 * np.exp(-s / 300) + 0.4 * np.exp(-s / 6000)))


def whole_blood(t: Array) -> Array:
    """Nine tenths of total plasma."""
    return 0.9 * total_plasma(t)


def frame_means(rates: tuple[float, float, float], tracer: Tracer) -> Array:
    """Mean of each frame of an irreversible two-tissue region with blood in it, shape (frames,)."""
    k1, k2, k3 = (rate / 60.0 for rate in rates)

    def change(t: float, state: Array) -> list[float]:
        now = np.array([t])
        parent = float(total_plasma(now)[0] * tracer.parent_fraction(now)[0])
        measured = (1 - VB) * (state[0] + state[1]) + VB * float(whole_blood(now)[0])
        return [k1 * parent - (k2 + k3) * state[0], k3 * state[0], measured]

    solved = solve_ivp(change, (0, END), [0.0] * 3, t_eval=EDGES, max_step=5.0, rtol=1e-8, atol=1e-3)
    return np.asarray(np.diff(solved.y[2]) / DURATION)


def _blood_means() -> Array:
    fine = np.arange(0, END + 0.25, 0.25)
    area = np.concatenate([[0.0], np.cumsum(0.125 * (whole_blood(fine[1:]) + whole_blood(fine[:-1])))])
    return np.asarray(np.diff(np.interp(EDGES, fine, area)) / DURATION)


def table(columns: Mapping[str, Any]) -> str:
    """A TSV text; NaN is ``n/a``."""
    rows = zip(*columns.values(), strict=True)
    cells = (["n/a" if value != value else f"{value:.9g}" for value in row] for row in rows)
    return "\n".join(["\t".join(columns), *map("\t".join, cells)]) + "\n"


def put(path: Path, content: str | bytes | Mapping[str, Any]) -> Path:
    """Write text, bytes or JSON, making folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return path


def _image(path: Path, values: NDArray[Any], slope: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, np.diag([-2.0, 2.0, 2.0, 1.0]), dtype=values.dtype)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_slope_inter(slope, 0)
    nibabel.save(image, path)


def _sidecar(tracer: Tracer) -> dict[str, Any]:
    return {
        "TracerName": tracer.name,
        "TracerRadionuclide": tracer.nuclide,
        "RadionuclideHalfLife": tracer.half_life,
        "Units": "Bq/mL",
        "ModeOfAdministration": "bolus",
        "TimeZero": "09:30:00",
        "ScanStart": 0,
        "InjectionStart": 0,
        "FrameTimesStart": START.tolist(),
        "FrameDuration": DURATION.tolist(),
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
        "InjectedRadioactivity": DOSE / 1e6,
        "InjectedRadioactivityUnits": "MBq",
    }


_BLOOD_UNITS = {
    "time": {"Units": "s"},
    "whole_blood_radioactivity": {"Units": "Bq/mL"},
    "plasma_radioactivity": {"Units": "Bq/mL"},
    "metabolite_parent_fraction": {"Units": "arbitrary"},
    "PlasmaAvail": True,
    "WholeBloodAvail": True,
    "MetaboliteAvail": False,
}


def _activities(time: Array) -> dict[str, Array]:
    return {
        "time": time,
        "whole_blood_radioactivity": whole_blood(time),
        "plasma_radioactivity": total_plasma(time),
    }


def _blood(path: Path, columns: Mapping[str, Array]) -> None:
    """A table of blood with its sidecar; `path` has no suffix."""
    put(path.with_suffix(".tsv"), table(columns))
    units = {name: entry for name, entry in _BLOOD_UNITS.items() if name in columns}
    available = {
        "PlasmaAvail": "plasma_radioactivity" in columns,
        "WholeBloodAvail": True,
        "MetaboliteAvail": "metabolite_parent_fraction" in columns,
        "DispersionCorrected": True,
    }
    put(path.with_suffix(".json"), units | available)


def _input_function(path: Path, tracer: Tracer) -> None:
    """Curves as the program bloodstream writes them."""
    parent = total_plasma(DENSE) * tracer.parent_fraction(DENSE)
    units = {"time": {"Units": "s"}} | {name: {"Units": "Bq"} for name in ("whole_blood_radioactivity", "AIF")}
    put(path, table({"time": DENSE, "whole_blood_radioactivity": whole_blood(DENSE), "AIF": parent}))
    put(path.with_suffix(".json"), units)


def _first_scan(bids: Path) -> None:
    pet, segmented = bids / "sub-01/pet", bids / "derivatives/seg/sub-01/pet"
    curves = {name: frame_means(rates, FDG) for name, rates in RATES.items()} | {"pool": _blood_means()}
    values, labels = np.zeros((8, 8, 8, len(DURATION))), np.zeros((8, 8, 8), np.int16)
    for number, (name, box) in enumerate(BOXES.items(), start=1):
        values[box] = curves[name]
        labels[box] = number if name in RATES else 0
    slope = float(values.max() / 32000)
    _image(pet / "sub-01_pet.nii.gz", np.round(values / slope).astype(np.int16), slope)
    put(pet / "sub-01_pet.json", _sidecar(FDG))
    _blood(pet / "sub-01_recording-manual_blood", _activities(SAMPLES))
    _image(segmented / "sub-01_dseg.nii.gz", labels)
    put(segmented / "sub-01_dseg.tsv", "index\tname\n1\tleft\n2\tright\n")
    _input_function(bids / "derivatives/curves/sub-01/sub-01_inputfunction.tsv", FDG)


def _second_scan(bids: Path) -> None:
    pet, extracted = bids / "sub-02/pet", bids / "derivatives/extract/sub-02/pet"
    curves = {name: frame_means(rates, PBR28) for name, rates in RATES.items()}
    put(pet / "sub-02_pet.json", _sidecar(PBR28))
    fast, slow = np.arange(0, 301, 3.0), SAMPLES[SAMPLES >= 60]
    fraction = {"metabolite_parent_fraction": PBR28.parent_fraction(slow)}
    _blood(pet / "sub-02_recording-autosampler_blood", {"time": fast, "whole_blood_radioactivity": whole_blood(fast)})
    _blood(pet / "sub-02_recording-manual_blood", _activities(slow) | fraction)
    frames = {"frame_start": START, "frame_end": EDGES[1:]}
    put(extracted / "sub-02_desc-seg_tacs.tsv", table(frames | curves))
    put(extracted / "sub-02_desc-seg_tacs.json", {name: {"Units": "Bq/mL"} for name in RATES})
    _input_function(bids / "derivatives/curves/sub-02/sub-02_inputfunction.tsv", PBR28)


#: Analyses by name, and the input function that each rests on.
METHODS = ("arterial", "image-derived", "population", "from-file")
STUDY: dict[str, Any] = {
    "name": "fuzz",
    "data": "bids",
    "output": "out",
    "input_functions": {
        "arterial": {},
        "image-derived": {},
        "population": {},
        "from-file": {"path": "{data}/derivatives/curves/{subject}/{scan}_inputfunction.tsv"},
    },
    "kinetics": [
        {"name": method, "model": "2tcm-irreversible", "input_function": method, "maps": False} for method in METHODS
    ]
    + [
        {"name": "first", "model": "2tcm-irreversible", "maps": False},
        {"name": "uptake", "model": "suv", "window": [30, 60], "maps": False},
    ],
}


def write_sound(folder: Path) -> None:
    """Write ``study.yaml`` and its data set ``bids`` into a folder."""
    bids = folder / "bids"
    put(bids / "dataset_description.json", {"Name": "fuzz", "BIDSVersion": "1.9.0", "DatasetType": "raw"})
    put(
        bids / "participants.tsv",
        "participant_id\tspecies\tweight\n" + "".join(f"sub-0{n}\thomo sapiens\t{WEIGHT:g}\n" for n in (1, 2)),
    )
    put(bids / "participants.json", {"weight": {"Units": "kg"}})
    _first_scan(bids)
    _second_scan(bids)
    put(folder / "study.yaml", yaml.safe_dump(STUDY, sort_keys=False))
