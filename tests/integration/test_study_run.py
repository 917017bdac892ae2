"""A small simulated study: what is up to date stays, what changed is named and made again, and only that."""

import html
import io
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pandas as pd
import pytest
import xarray as xr

from dlif_core.errors import ExitCode
from dlif_core.phantom import write_cohort
from dlif_core.study import cohort_parts
from dlif_core.study.config import StudyConfig
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.products import fit_name
from dlif_core.study.states import ScanStatus
from dlif_core.study.status import study_status
from dlif_core.study.step import Plan, State
from flows.serial import run_shard

pytestmark = pytest.mark.slow

PATLAK = {"model": "patlak", "t_star": 15.0}
STUDY: dict[str, object] = {
    "data": "bids",
    "input_functions": {"arterial": {}, "population": {}},
    "kinetics": [PATLAK, {"model": "1tcm", "maps": False}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("study")
    write_cohort(root / "bids", 2, seed=11, voxel_size=2.0)
    return root


@pytest.fixture(scope="module")
def study(folder: Path, run_study: Callable[..., StudyConfig]) -> StudyConfig:
    return run_study(folder, **STUDY)


def plan(config: StudyConfig) -> Plan:
    return make_plan(config, open_study_store(config))


def titles(config: StudyConfig) -> set[str]:
    return {step.title for step in plan(config).to_run}


def changed(config: StudyConfig, **settings: object) -> StudyConfig:
    return StudyConfig.model_validate(config.model_dump() | settings)


def test_a_finished_study_has_nothing_to_run(study: StudyConfig) -> None:
    assert titles(study) == set()
    assert {scan.status for scan in study_status(study).scans} == {ScanStatus.SUCCESS}


def test_a_changed_option_is_named_and_only_what_depends_on_it_is_stale(study: StudyConfig) -> None:
    planned = plan(changed(study, kinetics=[PATLAK | {"t_star": 20.0}, {"model": "1tcm", "maps": False}]))
    stale = {step.step.title: step.reasons for step in planned.steps if step.state is State.RUN}
    scans = ("sub-m01", "sub-m02")
    assert set(stale) == {f"{s} {t}" for s in scans for t in ("regions patlak", "maps patlak", "report")} | {"cohort"}
    assert stale["sub-m01 maps patlak"] == ("kinetics.patlak.t_star: 15.0 → 20.0",)


def test_a_changed_input_function_option_reaches_every_fit_that_may_use_it(study: StudyConfig) -> None:
    stale = titles(changed(study, input_functions={"arterial": {"parent_fraction": "constant"}, "population": {}}))
    assert {"sub-m01 input-function arterial", "sub-m01 regions 1tcm", "sub-m01 maps patlak"} <= stale
    assert "sub-m01 ingest" not in stale


def test_a_changed_file_is_named(study: StudyConfig, folder: Path) -> None:
    sidecar = folder / "bids" / "sub-m02" / "pet" / "sub-m02_pet.json"
    original = sidecar.read_text()
    sidecar.write_text(json.dumps(json.loads(original) | {"InjectedRadioactivity": 7.5}))
    try:
        ingest = plan(study).of_scan("sub-m02")[0]
        assert ingest.state is State.RUN
        assert any("sub-m02_pet.json" in reason for reason in ingest.reasons)
        assert all(step.state is State.CURRENT for step in plan(study).of_scan("sub-m01"))
    finally:
        sidecar.write_text(original)
    assert titles(study) == set()


def test_shards_make_the_products_of_a_whole_run(study: StudyConfig, tmp_path: Path) -> None:
    parts = study.model_copy(update={"output": str(tmp_path / "out")})
    with ThreadPoolExecutor(1) as executor:
        for index in range(2):
            run_shard(parts, executor, index, 2)
        assert titles(parts) == {"cohort"}
        run_shard(parts, executor)
    whole, sharded = (open_study_store(config).products() for config in (study, parts))
    assert {name: marker.content for name, marker in sharded.items()} == {
        name: marker.content for name, marker in whole.items()
    }


@pytest.fixture
def memory() -> Iterator[str]:
    yield "memory://study"
    fsspec.filesystem("memory").rm("/study", recursive=True)


def test_a_study_may_lie_in_an_object_store(study: StudyConfig, memory: str) -> None:
    remote = study.model_copy(update={"output": memory, "scans": ("sub-m01",)})
    with ThreadPoolExecutor(1) as executor:
        run_shard(remote, executor)
    assert {scan.status for scan in study_status(remote).scans} == {ScanStatus.SUCCESS}
    name = fit_name("sub-m01", "patlak", "maps")
    local, distant = (open_study_store(config).marker(name) for config in (study, remote))
    assert local is not None
    assert distant is not None
    assert local.content == distant.content


def test_a_scan_without_blood_falls_back_and_says_so(
    tmp_path: Path, folder: Path, run_study: Callable[..., StudyConfig]
) -> None:
    shutil.copytree(folder / "bids", tmp_path / "bids")
    for file in (tmp_path / "bids" / "sub-m01" / "pet").glob("*_blood.*"):
        file.unlink()
    config = run_study(tmp_path, **STUDY)
    store = open_study_store(config)
    fits = {scan: store.open_dataset(fit_name(scan, "patlak", "regions")) for scan in ("sub-m01", "sub-m02")}
    assert {scan: fit.attrs["input_function"] for scan, fit in fits.items()} == {
        "sub-m01": "population",
        "sub-m02": "arterial",
    }
    marker = store.marker(fit_name("sub-m01", "patlak", "regions"))
    assert marker is not None
    assert [(finding["check"], finding["where"]) for finding in marker.findings] == [
        ("first-input-function", "regions patlak")
    ]
    assert any("arterial" in warning for warning in marker.warnings)
    status = study_status(config)
    fallen, other = status.scans
    assert fallen.status is ScanStatus.SUCCESS
    assert fallen.remarks[0].startswith("arterial was unavailable: ")
    assert fallen.remarks[0].endswith("; population was used")
    assert (fallen.needs_care, other.needs_care) == (True, False)
    assert status.exit_code is ExitCode.SUCCESS
    assert fallen.remarks[0] in html.unescape(store.read_text("reports/sub-m01", "report.html"))
    index = pd.read_csv(io.StringIO(store.read_text("cohort", "index.tsv")), sep="\t").set_index("scan_id")
    assert index["needs_care"].to_dict() == {"sub-m01": True, "sub-m02": False}
    assert fallen.remarks[0] in index.loc["sub-m01", "remarks"]
    rows = pd.read_csv(io.StringIO(store.read_text("cohort", "region_parameters.tsv")), sep="\t")
    used = rows.groupby("scan_id")["input_function"].agg(set)
    assert used.to_dict() == {"sub-m01": {"population"}, "sub-m02": {"arterial"}}
    found = pd.read_csv(io.StringIO(store.read_text("cohort", "findings.tsv")), sep="\t")
    fallbacks = found[found["check"] == "first-input-function"]
    assert fallbacks["scan"].unique().tolist() == ["sub-m01"]
    assert fallbacks["where"].tolist() == ["regions patlak", "regions 1tcm", "maps patlak"]
    assert fallen.remarks[0] in html.unescape(store.read_text("cohort", "report.html"))


def test_the_cohort_read_in_parts_is_the_same(
    study: StudyConfig, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One scan a part, against both in one."""
    store = open_study_store(study)
    before, curves = store.marker("cohort"), store.open_dataset("cohort", "input_functions").load()
    fits = store.open_dataset("cohort", "regions/patlak").load()
    store.delete("cohort")
    monkeypatch.setattr(cohort_parts, "SCANS", 1)
    with ThreadPoolExecutor(2) as executor:
        run_shard(study, executor)
    after = store.marker("cohort")
    assert before is not None
    assert after is not None
    xr.testing.assert_identical(store.open_dataset("cohort", "input_functions").load(), curves)
    xr.testing.assert_identical(store.open_dataset("cohort", "regions/patlak").load(), fits)
    assert after.content == before.content
    assert store.folder.folders(".staging") == []


def test_a_result_of_older_input_leaves_the_report(
    tmp_path: Path, folder: Path, run_study: Callable[..., StudyConfig]
) -> None:
    """A fit whose only input function is gone is blocked; what it gave before is no longer shown."""
    shutil.copytree(folder / "bids", tmp_path / "bids")
    only = STUDY | {"scans": ["sub-m01"], "kinetics": [PATLAK | {"input_function": "arterial", "maps": False}]}
    before = run_study(tmp_path, **only)
    assert "Patlak plot" in open_study_store(before).read_text("reports/sub-m01", "report.html")
    for file in (tmp_path / "bids" / "sub-m01" / "pet").glob("*_blood.*"):
        file.unlink()
    after = run_study(tmp_path, **only)
    assert study_status(after).scans[0].status is ScanStatus.UNAVAILABLE
    assert "Patlak plot" not in open_study_store(after).read_text("reports/sub-m01", "report.html")


def test_a_broken_step_is_failed_with_its_reason_and_tried_again(
    tmp_path: Path, folder: Path, run_study: Callable[..., StudyConfig]
) -> None:
    """A source product loses its blood on disk: its scan fails, the other completes; the next run makes it again."""
    shutil.copytree(folder / "bids", tmp_path / "bids")
    run_study(tmp_path, **STUDY)
    (tmp_path / "out" / "scans" / "sub-m01.zarr" / "source" / "data.zarr.zip").unlink()
    changed_option = STUDY | {"input_functions": {"arterial": {"delay_s": 1.0}, "population": {}}}
    broken = study_status(run_study(tmp_path, **changed_option))
    assert [scan.status for scan in broken.scans] == [ScanStatus.FAILED, ScanStatus.SUCCESS]
    assert "sub-m01.zarr/source was damaged" in broken.scans[0].reasons[0]
    assert broken.exit_code is ExitCode.PARTIAL
    mended = run_study(tmp_path, **changed_option)
    assert {scan.status for scan in study_status(mended).scans} == {ScanStatus.SUCCESS}
    assert open_study_store(mended).products("failures") == {}
