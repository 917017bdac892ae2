"""Arterial input functions from measured blood: real recordings with their real faults."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dlif_core.blood_samples import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.errors import BloodError, FrameTimingError
from dlif_core.frames import FrameTiming
from dlif_core.input_function import estimate
from dlif_core.input_function.arterial import ArterialOptions
from dlif_core.input_function.population import FDG_SHAPES
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves
from dlif_core.units import factor

pytestmark = pytest.mark.realdata

MC1 = [
    f"sub-{subject}/ses-{session}"
    for subject, sessions in {
        **dict.fromkeys(("01", "04", "09"), ("baseline", "blocked")),
        **dict.fromkeys(("13", "18", "21"), ("test", "retest")),
    }.items()
    for session in sessions
]
COLUMNS = {
    "whole_blood": ("whole_blood_radioactivity", "concentration"),
    "plasma": ("plasma_radioactivity", "concentration"),
    "parent_fraction": ("metabolite_parent_fraction", "fraction"),
}


def read_blood(folder: Path) -> tuple[BloodRecording, ...]:
    return tuple(read_recording(file) for file in sorted(folder.glob("*_blood.tsv")))


def read_recording(file: Path) -> BloodRecording:
    table = pd.read_csv(file, sep="\t", na_values="n/a")
    sidecar = file.with_suffix(".json")
    described = json.loads(sidecar.read_text()) if sidecar.exists() else {}
    name = file.name.split("recording-")[1].split("_")[0]
    columns = {
        field: table[column].to_numpy(float) * factor(described.get(column, {}).get("Units", default), dimension)
        for field, (column, dimension) in COLUMNS.items()
        if column in table
        for default in [{"concentration": "Bq/mL", "fraction": "1"}[dimension]]
    }
    return BloodRecording(name, "venous" not in name, table["time"].to_numpy(float), **columns, source=file.name)


def read_timing(folder: Path) -> FrameTiming:
    """Of the scan; the examples that hold frame end times as durations are read as what they are."""
    sidecar = json.loads(next(folder.glob("*_pet.json")).read_text())
    start, duration = np.array(sidecar["FrameTimesStart"], float), np.array(sidecar["FrameDuration"], float)
    try:
        return FrameTiming(start, duration)
    except FrameTimingError:
        return FrameTiming(start, duration - start)


def read_scan(folder: Path) -> DynamicScan:
    timing = read_timing(folder)
    acquisition = Acquisition("tracer", 1220.0, species="human")
    return DynamicScan(timing, acquisition, RegionCurves(("a",), np.full((1, len(timing)), 5e3), np.ones(1)))


def arterial(folder: Path, **options: object) -> InputFunction:
    return estimate("arterial", read_scan(folder), read_blood(folder), ArterialOptions.model_validate(options))


@pytest.mark.parametrize("name", MC1)
def test_every_mc1_scan_gives_a_sound_curve(real_data: Path, name: str) -> None:
    """Human bolus: parent plasma peaks within 3 min well above the tail, and stays below total plasma."""
    folder = real_data / "ds004869_mc1" / name / "pet"
    curve = arterial(folder, max_extrapolation=0.5)
    (recording,) = read_blood(folder)
    peak = curve.time[curve.plasma.argmax()]
    assert 60 < peak < 180
    assert 10 < curve.plasma.max() / curve.plasma[-1] < 200
    assert curve.time[-1] == pytest.approx(read_timing(folder).end[-1])
    fraction = curve.provenance["parent fraction"]
    assert fraction["root mean square error"] < 0.03
    assert 0.9 < fraction["start"] <= 1
    kept = np.isin(recording.time, curve.time)
    on_curve = np.interp(recording.time[kept], curve.time, curve.whole_blood)
    assert kept.sum() >= len(recording.time) - 2  # one is out of order, one beyond the scan end
    np.testing.assert_allclose(on_curve, recording.whole_blood[kept], rtol=1e-9)


def test_the_sample_out_of_order_is_named(real_data: Path) -> None:
    curve = arterial(real_data / "ds004869_mc1/sub-13/ses-retest/pet")
    assert curve.warnings == (
        "sub-13_ses-retest_recording-manual_blood.tsv: samples out of order in time are left out: 178.2 s.",
    )


def test_half_a_scan_is_not_extrapolated_without_being_asked(real_data: Path) -> None:
    folder = real_data / "ds004869_mc1/sub-13/ses-test/pet"
    with pytest.raises(BloodError, match=r"sub-13_ses-test.*at 2731.8 s, the scan ends at 5400 s: 49%"):
        arterial(folder)
    curve = arterial(folder, max_extrapolation=0.5)
    assert any("extrapolated log-linearly from 2731.8 s to 5400 s (49%" in warning for warning in curve.warnings)


@pytest.mark.parametrize("name", [name for name in MC1 if name[4:6] in ("01", "04")])
@pytest.mark.parametrize(("model", "limit"), [("interpolation", 0.005), ("hill", 0.015)])
def test_published_input_functions_are_met(real_data: Path, name: str, model: str, limit: float) -> None:
    """The derivatives interpolate whole blood and parent fraction; a Hill model smooths the latter.

    Found over the four scans: area of whole blood within 0.01 %; area of parent plasma within 0.4 % with an
    interpolated parent fraction and within 1.2 % with a Hill model, whose whole curve is within 5 % of the peak.
    """
    file = next((real_data / "ds004869_mc1/derivatives/bloodstream" / name).rglob("*_inputfunction.tsv"))
    published = pd.read_csv(file, sep="\t")
    curve = arterial(real_data / "ds004869_mc1" / name / "pet", parent_fraction=model)
    time = np.arange(0, 7180.0)

    def theirs(column: str) -> np.ndarray:
        return np.interp(time, published["time"], published[column])

    whole_blood, plasma = (np.interp(time, curve.time, values) for values in (curve.whole_blood, curve.plasma))
    assert whole_blood.sum() == pytest.approx(theirs("whole_blood_radioactivity").sum(), rel=1e-3)
    assert plasma.sum() == pytest.approx(theirs("AIF").sum(), rel=limit)
    assert np.abs(plasma - theirs("AIF")).max() < 0.06 * plasma.max()


@pytest.mark.parametrize("name", ["pet001/sub-01/ses-01", "pet003/sub-01/ses-01", "pet004/sub-01"])
def test_examples_merge_autosampler_and_manual_samples(real_data: Path, name: str) -> None:
    folder = real_data / "bids_examples" / name / "pet"
    recordings = {recording.name: recording for recording in read_blood(folder)}
    curve = arterial(folder)
    assert (curve.plasma >= 0).all()
    assert curve.plasma[-1] < curve.provenance["parent fraction"]["start"] * curve.plasma.max()
    if "autosampler" in recordings:
        peak = np.nanmax(recordings["autosampler"].whole_blood)
        assert curve.whole_blood.max() == peak
        assert curve.whole_blood[-1] == pytest.approx(recordings["manual"].whole_blood[-1], rel=0.02)
        assert curve.provenance["samples"]["whole_blood"].keys() == {"autosampler", "manual"}


@pytest.mark.parametrize("session", ["baseline", "rescan"])
def test_venous_recordings_beside_arterial_ones_never_enter(real_data: Path, session: str) -> None:
    folder = real_data / f"import_traps/ds004230_ps13/sub-PS42/ses-{session}/pet"
    curve = arterial(folder)
    blood = tuple(recording for recording in read_blood(folder) if recording.arterial)
    np.testing.assert_array_equal(curve.plasma, estimate("arterial", read_scan(folder), blood).plasma)
    assert curve.provenance["venous recordings left out"] == ["manualvenous"]
    assert curve.provenance["samples"]["plasma"] == {"manual": 9}


def test_zero_rows_at_the_end_are_dropped(real_data: Path) -> None:
    curve = arterial(next((real_data / "import_traps/ds005619_sf51").rglob("pet")))
    assert any("3 rows of zeros at the end are left out" in warning for warning in curve.warnings)
    assert curve.provenance["samples"]["plasma"] == {"manual": 21}


def test_cells_without_value_are_passed_over(real_data: Path) -> None:
    folder = real_data / "import_traps/leucine/ds004654/sub-HM02/ses-Awake/pet"
    curve = arterial(folder)
    assert curve.provenance["samples"]["whole_blood"] == {"manual": 41}  # of 47 rows, 6 are venous samples
    assert np.interp(935.5, curve.time, curve.plasma) == pytest.approx(
        np.interp(935.5, [895.0, 1196.5], [11183.25, 9005.06]), rel=1e-6
    )


def test_whole_blood_in_the_wrong_unit_is_warned_of(real_data: Path) -> None:
    curve = arterial(real_data / "import_traps/ds004868_ps13/sub-PSTRT17/ses-rescan/pet")
    assert any("check the units" in warning for warning in curve.warnings)


def test_human_population_has_the_area_of_measured_curves(real_data: Path) -> None:
    """Median over 29 FDG sessions of the ratio of measured to population area (SUV·min, to the last sample)."""
    root = real_data / "ds004513_fdg"
    weight = pd.read_csv(root / "participants.tsv", sep="\t").set_index("participant_id")["body_weight"]
    ratios = []
    for file in sorted(root.glob("sub-*/ses-*/pet/*_blood.tsv")):
        sidecar = json.loads(next(file.parent.glob("*_pet.json")).read_text())
        table = pd.read_csv(file, sep="\t")
        suv_factor = 1000 * weight[file.parts[-4]] / (1e6 * sidecar["InjectedRadioactivity"])
        time = np.arange(0, table["time"].iloc[-1])
        measured = np.interp(time, [0, *table["time"]], [0, *suv_factor * table["plasma_radioactivity"]])
        ratios.append(measured.sum() / FDG_SHAPES["human"].feng.curve(time).sum())
    assert len(ratios) == 29
    assert np.median(ratios) == pytest.approx(1, abs=0.02)
    assert np.std(ratios) / np.mean(ratios) < 0.2
