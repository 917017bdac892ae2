"""A study of a tracer with metabolites without arterial curves: plasma is measured, blood is read from the scan."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dlif_core.checks import Finding
from dlif_core.curve import InputFunction
from dlif_core.store import open_store
from dlif_core.study.config import StudyConfig
from dlif_core.study.input_functions import read_input_function
from dlif_core.study.plan import make_plan
from dlif_core.study.products import fit_name
from tests.unit.ingest.bids.dataset import BLOOD, SIDECAR, write
from tests.unit.input_function.files import MC1, parent, whole_blood
from tests.unit.kinetics.truth import ode_curve, schedule

TIMING = schedule((12, 10), (6, 30), (10, 120), (6, 300))
KNOTS = np.unique(np.concatenate([np.arange(0, 120, 2.0), np.arange(120, float(TIMING.end[-1]) + 1, 20.0)]))
OWN = {60: 0.9, 600: 0.5, 1800: 0.3}
OF_STUDY = {1: 0.8, 10: 0.4, 30: 0.2}
HYBRID = {"parent_fraction": "interpolation"}
FILE = {"path": "parent.tsv", "time_unit": "min", "columns": {"time": "t", "parent_fraction": "f"}}


def write_study(folder: Path) -> None:
    """Two scans of region curves, of which the first has a blood table of parent fractions alone."""
    truth = InputFunction(KNOTS, whole_blood(KNOTS), parent(KNOTS), method="truth")
    rates = {"left_ventricle": 0.9, "myocardium": 0.1, "liver": 0.2}
    curves = [ode_curve(TIMING, truth, {"K1": 0.1, "k2": 0.2, "k3": 0.01, "vB": vb}) for vb in rates.values()]
    frames = zip(TIMING.start, TIMING.end, *curves, strict=True)
    rows = "\n".join("\t".join(map(str, row)) for row in frames)
    sidecar = SIDECAR | {
        "TracerName": "MC1",
        "TracerRadionuclide": "C11",
        "RadionuclideHalfLife": MC1.half_life,
        "Units": "Bq/mL",
        "FrameTimesStart": list(TIMING.start),
        "FrameDuration": list(TIMING.duration),
    }
    for scan in ("sub-1", "sub-2"):
        write(folder / "bids" / scan / "pet" / f"{scan}_pet.json", sidecar)
        tacs = folder / "bids/derivatives/extract" / scan / f"{scan}_desc-a_tacs.tsv"
        write(tacs, "frame_start\tframe_end\t" + "\t".join(rates) + f"\n{rows}\n")
    own = "".join(f"{time}\t{fraction}\n" for time, fraction in OWN.items())
    blood = folder / "bids/sub-1/pet/sub-1_recording-manual_blood.tsv"
    write(blood, f"time\tmetabolite_parent_fraction\n{own}")
    write(blood.with_suffix(".json"), {name: BLOOD[name] for name in ("time", "metabolite_parent_fraction")})
    write(folder / "parent.tsv", "t\tf\n" + "".join(f"{time}\t{fraction}\n" for time, fraction in OF_STUDY.items()))


def findings(config: StudyConfig, scan: str) -> list[Finding]:
    marker = open_store(config.output).marker(fit_name(scan, "patlak", "regions"))
    assert marker is not None
    return [finding for finding in marker.findings if finding["check"] == "metabolites"]


def require_product(config: StudyConfig, scan: str, fractions: dict[int, float], seconds: float, file: str) -> None:
    """The committed plasma is whole blood times the parent fraction that runs by lines from 1 at injection."""
    curve = read_input_function(open_store(config.output), scan, "hybrid")
    times = np.array([0, *fractions]) * seconds
    np.testing.assert_allclose(
        curve.plasma, curve.whole_blood * np.interp(curve.time, times, [1, *fractions.values()]), rtol=1e-12
    )
    assert curve.provenance["parent fraction"]["source"].endswith(file)


@pytest.fixture
def run(tmp_path: Path, run_study: Callable[..., StudyConfig]) -> Callable[..., StudyConfig]:
    write_study(tmp_path)
    analyses = [{"model": "patlak", "t_star": 10, "maps": False}]

    def with_options(**options: object) -> StudyConfig:
        return run_study(tmp_path, data="bids", input_functions={"hybrid": HYBRID | options}, kinetics=analyses)

    return with_options


def test_own_fractions_come_first_and_the_study_gives_the_others(
    run: Callable[..., StudyConfig], tmp_path: Path
) -> None:
    config = run(plasma=FILE)
    require_product(config, "sub-1", OWN, 1.0, "sub-1_recording-manual_blood.tsv")
    require_product(config, "sub-2", OF_STUDY, 60.0, "parent.tsv")
    assert not findings(config, "sub-1")
    assert not findings(config, "sub-2")
    store = open_store(config.output)
    assert not make_plan(config, store).to_run
    write(tmp_path / "parent.tsv", (tmp_path / "parent.tsv").read_text() + "40\t0.1\n")
    stale = [planned for planned in make_plan(config, store).steps if planned.step.stage == "input-function"]
    assert all("hybrid, file " in planned.reasons[0] for planned in stale)


def test_an_analysis_with_metabolites_in_its_plasma_says_so(run: Callable[..., StudyConfig]) -> None:
    config = run()
    assert not findings(config, "sub-1")
    (told,) = findings(config, "sub-2")
    assert "hybrid gives plasma with its metabolites" in told["message"]
    curve = read_input_function(open_store(config.output), "sub-2", "hybrid")
    np.testing.assert_array_equal(curve.plasma, curve.whole_blood)
    assert any("plasma is taken as whole blood" in warning for warning in curve.warnings)


def test_fractions_in_percent_are_refused_with_the_remedy(run: Callable[..., StudyConfig], tmp_path: Path) -> None:
    write(tmp_path / "parent.tsv", "t\tf\n1\t80\n10\t40\n30\t20\n")
    config = run(plasma=FILE)
    marker = open_store(config.output).marker("scans/sub-2.zarr/input_functions/hybrid")
    assert marker is not None
    assert marker.status == "unavailable"
    assert "divide them by 100" in marker.reason + marker.hint
