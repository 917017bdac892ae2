"""A study whose input functions are files: each scan finds its own, and a changed file makes its curve stale."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError
from dlif_core.store import open_store
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.input_functions import read_input_function
from dlif_core.study.plan import make_plan
from tests.unit.ingest.bids.dataset import SIDECAR, write
from tests.unit.input_function.files import MC1, bloodstream, parent, whole_blood
from tests.unit.kinetics.truth import ode_curve, schedule

TIMING = schedule((12, 10), (6, 30), (10, 120), (6, 300))
END = float(TIMING.end[-1])
KNOTS = np.unique(np.concatenate([np.arange(0, 120, 2.0), np.arange(120, END + 1, 20.0)]))
RATES = {"K1": 0.1, "k2": 0.2, "k3": 0.06, "vB": 0.04}
KI = 0.1 * 0.06 / 0.26
PATH = "{data}/derivatives/bloodstream/*/{subject}/{session}/pet/{scan}_inputfunction.tsv"
SCANS = ("sub-1_ses-a", "sub-1_ses-b", "sub-10_ses-a")
ANALYSES = [{"model": "2tcm-irreversible", "maps": False}]


def write_study(folder: Path, injection: float = 0.0) -> None:
    """Scans of region curves with known rates, and the curves of bloodstream beside them."""
    truth = InputFunction(KNOTS, whole_blood(KNOTS), parent(KNOTS), method="truth")
    tissue = ode_curve(TIMING, truth, RATES) * 2.0 ** (injection / MC1.half_life)
    frames = zip(TIMING.start + injection, TIMING.end + injection, tissue, strict=True)
    rows = "".join(f"{start}\t{end}\t{value}\n" for start, end, value in frames)
    sidecar = SIDECAR | {
        "TracerName": "MC1",
        "TracerRadionuclide": "C11",
        "RadionuclideHalfLife": MC1.half_life,
        "Units": "Bq/mL",
        "InjectionStart": injection,
        "FrameTimesStart": list(TIMING.start + injection),
        "FrameDuration": list(TIMING.duration),
    }
    for scan in SCANS:
        subject, session = scan.split("_")
        write(folder / "bids" / subject / session / "pet" / f"{scan}_pet.json", sidecar)
        tacs = folder / "bids/derivatives/extract" / subject / session / f"{scan}_desc-a_tacs.tsv"
        write(tacs, f"frame_start\tframe_end\tcortex\n{rows}")
        bloodstream(file_of(folder, scan), KNOTS, injection=injection)


def file_of(folder: Path, scan: str) -> Path:
    subject, session = scan.split("_")
    base = folder / "bids/derivatives/bloodstream/Primary_Analysis"
    return base / subject / session / "pet" / f"{scan}_inputfunction.tsv"


def run(folder: Path, run_study: Callable[..., StudyConfig], path: str = PATH, **content: Any) -> StudyConfig:
    methods = {"from-file": {"path": path}}
    return run_study(folder, data="bids", input_functions=methods, kinetics=ANALYSES, **content)


def influx(config: StudyConfig, scan: str) -> float:
    regions = open_store(config.output).open_dataset(f"scans/{scan}.zarr/kinetics/2tcm-irreversible/regions")
    return float(regions["Ki"].sel(region="cortex"))


def reason(config: StudyConfig, scan: str) -> str:
    marker = open_store(config.output).marker(f"scans/{scan}.zarr/input_functions/from-file")
    assert marker is not None
    return "" if marker.status == "success" else f"{marker.status}: {marker.reason}"


@pytest.mark.parametrize("injection", [0.0, 240.0])
def test_every_scan_is_fitted_with_its_own_file(
    tmp_path: Path, run_study: Callable[..., StudyConfig], injection: float
) -> None:
    write_study(tmp_path, injection)
    config = run(tmp_path, run_study)
    for scan in SCANS:
        assert influx(config, scan) == pytest.approx(KI, rel=1e-3)
    curve = read_input_function(open_store(config.output), SCANS[0], "from-file")
    np.testing.assert_allclose(np.interp(KNOTS, curve.time, curve.plasma), parent(KNOTS), rtol=1e-5, atol=1e-3)
    assert curve.warnings == ()


def test_a_changed_file_makes_its_curve_stale_and_no_other(
    tmp_path: Path, run_study: Callable[..., StudyConfig]
) -> None:
    write_study(tmp_path)
    config = run(tmp_path, run_study)
    store = open_store(config.output)
    assert not make_plan(config, store).to_run
    path = file_of(tmp_path, SCANS[1])
    path.write_text(path.read_text().replace("NA", "") + f"{END + 50:g}\t1\t1\t0.3\t1\n")
    stale = [planned for planned in make_plan(config, store).steps if planned.step.stage == "input-function"]
    reasons = {planned.step.scan: planned.reasons for planned in stale}
    assert reasons[SCANS[0]] == reasons[SCANS[2]] == ()
    assert f"from-file, file pet/{path.name}" in reasons[SCANS[1]][0]


def test_a_file_that_is_missing_or_double_is_told_for_its_scan_alone(
    tmp_path: Path, run_study: Callable[..., StudyConfig]
) -> None:
    write_study(tmp_path)
    file_of(tmp_path, SCANS[0]).unlink()
    other = tmp_path / "bids/derivatives/bloodstream/Second_Analysis" / SCANS[1].replace("_", "/") / "pet"
    bloodstream(other / file_of(tmp_path, SCANS[1]).name, KNOTS)
    config = run(tmp_path, run_study)
    assert "unavailable" in reason(config, SCANS[0])
    assert "no such file" in reason(config, SCANS[0])
    assert "2 files match, one is needed" in reason(config, SCANS[1])
    assert influx(config, SCANS[2]) == pytest.approx(KI, rel=1e-3)
    bloodstream(file_of(tmp_path, SCANS[0]), KNOTS)  # once it is there, it is used
    config = run(tmp_path, run_study)
    assert influx(config, SCANS[0]) == pytest.approx(KI, rel=1e-3)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("bids/derivatives/bloodstream/*/*/*/pet/*_inputfunction.tsv", "nothing in this path says sub-1 and ses-a"),
        ("bids/derivatives/bloodstream/*/{subject}/**/*_inputfunction.tsv", "nothing in this path says ses-a"),
        ("bids/derivatives/bloodstream/**/{subject}*_{session}_inputfunction.tsv", "the file is that of sub-10"),
    ],
)
def test_the_file_of_another_scan_is_never_taken(
    tmp_path: Path, run_study: Callable[..., StudyConfig], path: str, message: str
) -> None:
    write_study(tmp_path)
    file_of(tmp_path, SCANS[0]).unlink()
    assert message in reason(run(tmp_path, run_study, path), SCANS[0])


def test_paths_count_from_the_study_file_wherever_it_lies(
    tmp_path: Path, run_study: Callable[..., StudyConfig]
) -> None:
    folder = tmp_path / "a [1] {b}"
    folder.mkdir()
    write_study(folder)
    path = "bids/derivatives/bloodstream/*/{subject}/{session}/pet/*_inputfunction.tsv"
    config = run(folder, run_study, path, output=str(tmp_path / "out"))
    assert influx(config, SCANS[2]) == pytest.approx(KI, rel=1e-3)
    moved = tmp_path / "moved"
    folder.rename(moved)
    again = load_study(moved / "study.yaml")
    steps = make_plan(again, open_store(again.output)).steps
    assert not [planned.step.title for planned in steps if planned.reasons]


def test_what_is_missing_in_the_study_file_is_named(tmp_path: Path) -> None:
    content = {"name": "a", "data": "bids", "output": "out", "input_functions": {"from-file": {"format": "pmod"}}}
    path = write(tmp_path / "study.yaml", yaml.safe_dump(content))
    with pytest.raises(ConfigurationError, match=r"input_functions.from-file.path: it is needed"):
        load_study(path)
