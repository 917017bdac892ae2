"""Studies of many tiny scans as PET-BIDS, with curves and blood in plain files, and their steps run without reports."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.running import run_in_order, run_step, scan_jobs
from tests.unit.ingest.bids.dataset import write

STARTS = np.array([0.0, 10, 20, 40, 60, 120, 300, 600, 1200, 2400])
ENDS = np.array([*STARTS[1:], 3600.0])
WITHOUT_DOSE = "sub-a0006"
#: Species by turns, with the least and the largest weight [kg].
_SPECIES = (("mus musculus", 0.02, 0.03), ("rattus norvegicus", 0.2, 0.4))
_STAGES = ("ingest", "input-function", "regions")


def run_many(folder: Path, name: str, count: int, seed: int = 0) -> StudyConfig:
    """Write a study of many scans below a folder, and run what a catalog tells of."""
    write_many(folder / "bids", count, seed)
    study = {
        "name": name,
        "data": "bids",
        "output": "out",
        "input_functions": {"arterial": {}},
        "kinetics": [{"model": "patlak", "t_star": 5.0}],
    }
    config = load_study(write(folder / "study.yaml", yaml.safe_dump(study)))
    run_steps(config)
    return config


def run_steps(config: StudyConfig) -> None:
    """Run all steps of scans that make data."""
    jobs = [job for job in scan_jobs(config, make_plan(config, open_study_store(config))) if job.step.stage in _STAGES]
    with ThreadPoolExecutor(1) as executor:
        list(run_in_order(jobs, partial(run_step, executor=executor)))


def write_many(root: Path, count: int, seed: int = 0) -> None:
    """Write scans with curves: a third with blood, plasma and metabolites, a third with blood, a third without.

    Every tenth animal has two sessions; of one scan the dose is missing.
    """
    rng, rows = np.random.default_rng(seed), ["participant_id\tspecies\tweight"]
    for number in range(count):
        subject = f"sub-a{number:04d}"
        species, least, largest = _SPECIES[number % 2]
        rows.append(f"{subject}\t{species}\t{rng.uniform(least, largest):.5f}")
        for session in ("ses-1", "ses-2") if number % 10 == 9 else ("",):
            _write_scan(root, subject, session, number, rng)
    write(root / "participants.tsv", "\n".join(rows) + "\n")
    write(root / "participants.json", {"weight": {"Units": "kg"}})


def _write_scan(root: Path, subject: str, session: str, number: int, rng: np.random.Generator) -> None:
    scan = "_".join(filter(None, (subject, session)))
    folder = root.joinpath(subject, *filter(None, [session]), "pet")
    peak = float(rng.uniform(5e5, 2e6))
    write(folder / f"{scan}_pet.json", json.dumps(_sidecar(scan, number)))
    if number % 3 < 2:
        write(folder / f"{scan}_recording-manual_blood.tsv", _blood(number, peak))
        columns = ("whole_blood_radioactivity", "plasma_radioactivity")
        units = {"time": {"Units": "s"}, **{column: {"Units": "Bq/mL"} for column in columns}}
        write(folder / f"{scan}_recording-manual_blood.json", json.dumps(units))
    below = root.joinpath("derivatives", "curves", subject, *filter(None, [session]), "pet")
    write(below / f"{scan}_tacs.tsv", _curves(peak))
    write(below / f"{scan}_tacs.json", json.dumps({name: {"Units": "Bq/mL"} for name in ("brain", "liver")}))


def _sidecar(scan: str, number: int) -> dict[str, object]:
    dose = {} if scan == WITHOUT_DOSE else {"InjectedRadioactivity": 5.0 + number / 100}
    return {
        "Manufacturer": ("Siemens", "Mediso")[number % 2],
        "ManufacturersModelName": ("Inveon", "nanoScan")[number % 2],
        "ReconMethodName": "OSEM of Jane Doe",
        "ModeOfAdministration": "bolus",
        "Units": "Bq/mL",
        "TracerName": ("FDG", "raclopride")[number % 4 == 3],
        "TracerRadionuclide": ("F18", "C11")[number % 4 == 3],
        "InjectedRadioactivityUnits": "MBq",
        "TimeZero": "10:00:00",
        "ScanStart": 0,
        "InjectionStart": 0,
        "FrameTimesStart": STARTS.tolist(),
        "FrameDuration": (ENDS - STARTS).tolist(),
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
        **dose,
    }


def _concentration(time: np.ndarray, peak: float) -> np.ndarray:
    return peak * (time / 15) * np.exp(1 - time / 15) + 0.1 * peak * (1 - np.exp(-time / 30)) * np.exp(-time / 3000)


def _blood(number: int, peak: float) -> str:
    times = np.array([0.0, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 2400, 3500])[: 13 - number % 2]
    blood = _concentration(times, peak)
    if number % 3:
        rows = [f"{time:g}\t{value:.6g}" for time, value in zip(times, blood, strict=True)]
        return "\n".join(["time\twhole_blood_radioactivity", *rows]) + "\n"
    parent = np.exp(-times / 4000)
    cells = zip(times, blood, 1.1 * blood, parent, strict=True)
    rows = ["\t".join(f"{value:.6g}" for value in row) for row in cells]
    head = "time\twhole_blood_radioactivity\tplasma_radioactivity\tmetabolite_parent_fraction"
    return "\n".join([head, *rows]) + "\n"


def _curves(peak: float) -> str:
    middle = (STARTS + ENDS) / 2
    rows = zip(STARTS, ENDS, 0.3 * peak * (1 - np.exp(-middle / 200)), 0.2 * peak * np.exp(-middle / 4000), strict=True)
    return "\n".join(["frame_start\tframe_end\tbrain\tliver", *("\t".join(f"{v:.6g}" for v in row) for row in rows)])
