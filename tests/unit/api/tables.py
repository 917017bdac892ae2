"""Tables of a scan whose truth is known from an ODE solver, as a notebook user has them on disk."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from tests.unit.kinetics.truth import F18, MOUSE, mouse_input, ode_curve

TRUTH = {
    "cortex": {"K1": 0.10, "k2": 0.20, "k3": 0.08, "k4": 0.0, "vB": 0.05},
    "striatum": {"K1": 0.08, "k2": 0.16, "k3": 0.06, "k4": 0.0, "vB": 0.04},
}
REVERSIBLE = {
    "cortex": {"K1": 0.10, "k2": 0.20, "k3": 0.08, "k4": 0.04, "vB": 0.05},
    "striatum": {"K1": 0.08, "k2": 0.16, "k3": 0.10, "k4": 0.05, "vB": 0.04},
}
BLOOD = mouse_input()


def influx(k: dict[str, float]) -> float:
    """Ki = K1 k3 / (k2 + k3)."""
    return k["K1"] * k["k3"] / (k["k2"] + k["k3"])


def volume(k: dict[str, float]) -> float:
    """VT = K1 / k2 (1 + k3 / k4)."""
    return k["K1"] / k["k2"] * (1 + k["k3"] / k["k4"])


def curves(truth: dict[str, dict[str, float]] = TRUTH) -> dict[str, np.ndarray]:
    """Frame averages of every region [Bq/mL]."""
    return {name: _curve(tuple(k.items())) for name, k in truth.items()}


@lru_cache
def _curve(rates: tuple[tuple[str, float], ...]) -> np.ndarray:
    return ode_curve(MOUSE, BLOOD, dict(rates))


def tac_table(truth: dict[str, dict[str, float]] = TRUTH, scale: float = 1e-3) -> pd.DataFrame:
    """Table of region curves, in kBq/mL by default."""
    columns = {name: scale * values for name, values in curves(truth).items()}
    return pd.DataFrame({"frame_start": MOUSE.start, "frame_end": MOUSE.end, **columns})


def blood_table(scale: float = 1e-3) -> pd.DataFrame:
    """Whole blood and plasma at the knots of the input function, in kBq/mL by default."""
    return pd.DataFrame(
        {
            "time": BLOOD.time,
            "whole_blood_radioactivity": scale * BLOOD.whole_blood,
            "plasma_radioactivity": scale * BLOOD.plasma,
        }
    )


def write_tables(folder: Path, truth: dict[str, dict[str, float]] = TRUTH) -> None:
    """Write ``tacs.tsv`` and ``blood.tsv`` with their sidecars."""
    tac_table(truth).to_csv(folder / "tacs.tsv", sep="\t", index=False)
    tacs = {"Units": "kBq/mL", "TracerName": "FDG", "TracerRadionuclide": "F18", "RadionuclideHalfLife": F18}
    dose = {"InjectedRadioactivity": 9.3, "InjectedRadioactivityUnits": "MBq"}
    (folder / "tacs.json").write_text(json.dumps(tacs | dose))
    blood_table().to_csv(folder / "blood.tsv", sep="\t", index=False)
    activity = {"Units": "kBq/mL"}
    columns = {"whole_blood_radioactivity": activity, "plasma_radioactivity": activity, "time": {"Units": "s"}}
    (folder / "blood.json").write_text(json.dumps(columns))


def write_dataset(folder: Path) -> None:
    """Write the same scan as a PET-BIDS dataset without image, ``sub-01``."""
    pet, derivatives = folder / "sub-01" / "pet", folder / "derivatives" / "tacs" / "sub-01"
    pet.mkdir(parents=True)
    derivatives.mkdir(parents=True)
    (folder / "dataset_description.json").write_text('{"Name": "mouse", "BIDSVersion": "1.9.0"}')
    (folder / "participants.tsv").write_text("participant_id\tweight\tspecies\nsub-01\t0.022\tmus musculus\n")
    (folder / "participants.json").write_text('{"weight": {"Units": "kg"}}')
    sidecar = {
        "TracerName": "FDG",
        "TracerRadionuclide": "F18",
        "RadionuclideHalfLife": F18,
        "Units": "kBq/mL",
        "InjectedRadioactivity": 9.3,
        "InjectedRadioactivityUnits": "MBq",
        "FrameTimesStart": MOUSE.start.tolist(),
        "FrameDuration": MOUSE.duration.tolist(),
        "InjectionStart": 0,
        "ScanStart": 0,
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
    }
    (pet / "sub-01_pet.json").write_text(json.dumps(sidecar))
    blood_table().to_csv(pet / "sub-01_recording-manual_blood.tsv", sep="\t", index=False)
    activity = {"Units": "kBq/mL"}
    columns = {"whole_blood_radioactivity": activity, "plasma_radioactivity": activity, "time": {"Units": "s"}}
    (pet / "sub-01_recording-manual_blood.json").write_text(json.dumps(columns))
    tac_table().to_csv(derivatives / "sub-01_tacs.tsv", sep="\t", index=False)
    (derivatives / "sub-01_tacs.json").write_text('{"Units": "kBq/mL"}')
