"""Studies of PET-BIDS data sets in which a file of a scan is odd: what it costs, and what it doesn't."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dlif_core.study.config import StudyConfig
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.source import read_scan
from dlif_core.study.states import ScanStatus
from dlif_core.study.status import study_status
from tests.unit.ingest.bids.dataset import SIDECAR, write, write_image

TIME = np.array([0.0, 10, 20, 30, 45, 60, 90, 120, 240, 480, 900, 1500, 1800])
BLOOD = 3e4 * (TIME / 25) * np.exp(1 - TIME / 25) + 8e3 * (1 - np.exp(-TIME / 40)) * np.exp(-TIME / 4000)
DURATION = np.array([30.0] * 4 + [60] * 4 + [120] * 6 + [180] * 4)
START = np.append(0.0, np.cumsum(DURATION)[:-1])
REFERENCE = 9e3 * (1 - np.exp(-START / 150)) * np.exp(-START / 3000) + 40
STATES = {"input_functions": {"arterial": {}}}


def add_scan(root: Path, name: str, start: np.ndarray, duration: np.ndarray, curves: list[np.ndarray]) -> None:
    """A scan of two regions with a label image."""
    image = np.zeros((4, 4, 4, len(start)), np.float32)
    labels = np.zeros((4, 4, 4), np.int16)
    for number, curve in enumerate(curves, start=1):
        labels[number, 1:3] = number
        image[number, 1:3] = curve
    pet, made = root / "sub-01" / "pet", root / "derivatives" / "seg" / "sub-01" / "pet"
    frames = {"FrameTimesStart": start.tolist(), "FrameDuration": duration.tolist(), "Units": "Bq/mL"}
    write(pet / f"{name}_pet.json", SIDECAR | frames | {"InjectedRadioactivity": 200})
    write_image(pet / f"{name}_pet.nii.gz", image if len(start) > 1 else image[..., 0])
    write_image(made / f"{name}_dseg.nii.gz", labels)
    write(made / f"{name}_dseg.tsv", "index\tname\n1\tputamen\n2\tcerebellum\n")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    slow = np.convolve(REFERENCE, [1.0, 0.6, 0.5, 0.4])[: len(START)]
    add_scan(root, "sub-01_rec-acdyn", START, DURATION, [slow, REFERENCE])
    table = "".join(f"{t}\t{b}\t{1.1 * b}\n" for t, b in zip(TIME, BLOOD, strict=True))
    header = "time\twhole_blood_radioactivity\tplasma_radioactivity\n"
    write(root / "sub-01" / "pet" / "sub-01_recording-manual_blood.tsv", header + table)
    names = ("time", "whole_blood_radioactivity", "plasma_radioactivity")
    units = {name: {"Units": "s" if name == "time" else "Bq/mL"} for name in names}
    write(root / "sub-01" / "pet" / "sub-01_recording-manual_blood.json", units)
    write(root / "participants.tsv", "participant_id\tweight\nsub-01\t70\n")
    write(root / "participants.json", {"weight": {"Units": "kg"}})
    return root


def statuses(config: StudyConfig) -> dict[str, tuple[ScanStatus, str]]:
    return {state.scan: (state.status, " ".join(state.reasons)) for state in study_status(config).scans}


def test_a_static_frame_beside_a_dynamic_scan(data: Path, run_study: Callable[..., StudyConfig]) -> None:
    late = [np.array([9e3]), np.array([7e3])]
    add_scan(data, "sub-01_rec-acstat", np.array([1200.0]), np.array([600.0]), late)
    kinetics = [
        {"model": "2tcm-irreversible", "maps": False},
        {"model": "patlak", "t_star": 10, "maps": False},
        {"model": "srtm", "reference": "cerebellum", "maps": False},
        {"model": "suv", "name": "suv-late", "window": [20, 30], "maps": False},
        {"model": "suv", "name": "suv-early", "window": [0, 10], "maps": False},
    ]
    config = run_study(data.parent, data="data", kinetics=kinetics, **STATES)
    found = statuses(config)
    assert found["sub-01_rec-acdyn"] == (ScanStatus.SUCCESS, "")
    status, reasons = found["sub-01_rec-acstat"]
    assert status is ScanStatus.UNAVAILABLE
    assert "1 frames can't determine" in reasons
    assert "no whole frame lies within 0 to 10 min" in reasons
    store = open_study_store(config)
    uptake = store.open_dataset("scans/sub-01_rec-acstat.zarr/kinetics/suv-late/regions")["SUV"]
    np.testing.assert_allclose(uptake, np.array([9e3, 7e3]) * 70e3 / 200e6, rtol=1e-6)
    assert make_plan(config, store).to_run == ()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("sub-01/pet/sub-01_recording-manual_blood.json", {"time": {"Units": "s"}}),
        ("sub-01/pet/sub-01_recording-manual_blood.json", "{"),
        ("sub-01/pet/sub-01_recording-manual_blood.tsv", "time\tplasma_radioactivity\n0\t1,5\n"),
    ],
)
def test_a_fault_of_the_blood_costs_no_reference_model(
    data: Path, run_study: Callable[..., StudyConfig], file: str, content: object
) -> None:
    write(data / file, content)  # type: ignore[arg-type]
    srtm = {"model": "srtm", "reference": "cerebellum", "maps": False}
    config = run_study(data.parent, data="data", kinetics=[srtm], **STATES)
    assert statuses(config)["sub-01_rec-acdyn"] == (ScanStatus.SUCCESS, "")
    marker = open_study_store(config).marker("scans/sub-01_rec-acdyn.zarr/input_functions/arterial")
    assert marker is not None
    assert marker.status == "unavailable"
    assert Path(file).name in marker.reason


def test_a_fault_of_the_participants_costs_no_kinetics(data: Path, run_study: Callable[..., StudyConfig]) -> None:
    write(data / "participants.tsv", "participant_id\tweight\nsub-01\t70,5\n")
    kinetics = [
        {"model": "2tcm-irreversible", "maps": False},
        {"model": "suv", "window": [20, 30], "maps": False},
    ]
    config = run_study(data.parent, data="data", kinetics=kinetics, **STATES)
    status, reason = statuses(config)["sub-01_rec-acdyn"]
    assert status is ScanStatus.UNAVAILABLE
    assert "SUV needs" in reason
    assert "2tcm" not in reason


def test_what_a_recording_is_dispersed_by_is_kept(data: Path, run_study: Callable[..., StudyConfig]) -> None:
    pet = data / "sub-01" / "pet"
    time = np.arange(0, 600.0, 2.0)
    rows = "".join(f"{t}\t{b}\n" for t, b in zip(time, np.interp(time, TIME, BLOOD), strict=True))
    write(pet / "sub-01_recording-autosampler_blood.tsv", "time\twhole_blood_radioactivity\n" + rows)
    fields = json.loads((pet / "sub-01_recording-manual_blood.json").read_text())
    fields |= {"DispersionCorrected": False, "DispersionConstant": 8}
    write(pet / "sub-01_recording-autosampler_blood.json", fields)
    config = run_study(data.parent, data="data", kinetics=[{"model": "1tcm", "maps": False}], **STATES)
    _, blood = read_scan(open_study_store(config), "sub-01_rec-acdyn")
    assert {recording.name: recording.dispersion for recording in blood} == {"manual": 0, "autosampler": 8}


def test_a_table_of_sessions_that_changes_makes_the_scan_stale(
    data: Path, run_study: Callable[..., StudyConfig]
) -> None:
    visit = data / "sub-01" / "ses-a" / "pet"
    visit.parent.mkdir()
    shutil.move(data / "sub-01" / "pet", visit)
    for path in list(visit.iterdir()):
        path.rename(visit / path.name.replace("sub-01", "sub-01_ses-a"))
    sessions = write(data / "sub-01" / "sub-01_sessions.tsv", "session_id\tbody_weight\nses-a\t80\n")
    config = run_study(data.parent, data="data", kinetics=[{"model": "suv", "window": [20, 30], "maps": False}])
    scan, _ = read_scan(open_study_store(config), "sub-01_ses-a_rec-acdyn")
    assert scan.acquisition.body_weight == 80
    assert make_plan(config, open_study_store(config)).to_run == ()
    write(sessions, "session_id\tbody_weight\nses-a\t81\n")
    (planned, *_) = make_plan(config, open_study_store(config)).steps
    (reason,) = planned.reasons
    assert reason.startswith("file sub-01/sub-01_sessions.tsv")
