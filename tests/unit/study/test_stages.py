"""A stage is one object: a stage that is entered in the registry is planned, run, told of and kept up to date."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dlif_core.errors import InputError
from dlif_core.store import Store
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.job import CohortJob, ScanJob
from dlif_core.study.memory import largest_need
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.running import cohort_jobs, run_step
from dlif_core.study.source import read_scan
from dlif_core.study.stages import STAGES, CohortStage, MemoryNeed, ScanPlan, ScanStage
from dlif_core.study.stages.ingest import INGEST
from dlif_core.study.states import ScanState, ScanStatus
from dlif_core.study.status import study_status
from dlif_core.study.step import PlannedStep, State, Step
from tests.unit.ingest.bids.dataset import curve_table, make_dataset, write_curves

STUDY: dict[str, object] = {
    "data": "bids",
    "accept": ["scan-too-short", "uptake-range"],
    "input_functions": {"population": {}},
    "kinetics": [{"model": "suv", "window": [0, 3], "maps": False}],
}
PEAK = "scans/sub-01.zarr/peak"


class Peak(ScanStage):
    """Highest activity of every region."""

    name = "peak"
    title = "peak activity"
    version = 1

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault

    def steps(self, plan: ScanPlan) -> Iterator[Step]:
        source = plan.of(INGEST)
        yield Step(
            scan=plan.scan,
            stage=self.name,
            variant="",
            product=f"scans/{plan.scan}.zarr/peak",
            fingerprint=self.fingerprint({}, source),
            needs=tuple(step.product for step in source),
        )

    def write(self, job: ScanJob, staging: object) -> tuple[str, ...]:
        if self.fault:
            raise self.fault
        scan, _ = read_scan(job.store, job.step.scan)
        staging.write_text("peak.txt", f"{scan.regions.activity.max():.0f}")
        return ("a peak is noisy.",)

    def memory(self, job: ScanJob) -> MemoryNeed:
        return MemoryNeed(job.step.title, (1, 1, 1), 123)


class Analysis(Peak):
    """The same, of a kind that the study asks for itself."""

    is_analysis = True


class Count(CohortStage):
    """Number of scans with a sound peak."""

    name = "count"
    title = "count"
    version = 1

    def step(self, config: StudyConfig, scans: list[str], committed: list[Step]) -> Step:
        read = [step for step in committed if step.stage == Peak.name]
        return Step("", self.name, "", "count", self.fingerprint({"scans": scans}, read))

    def write(self, job: CohortJob, staging: object) -> tuple[str, ...]:
        staging.write_text("count.txt", str(len([name for name in job.sound if name.endswith("/peak")])))
        return ()


@pytest.fixture
def register() -> Iterator[Callable[[object], object]]:
    """Enter a stage for one test."""
    names: list[str] = []

    def enter(stage: ScanStage | CohortStage) -> None:
        if stage.name in names:
            STAGES.unregister(stage.name)
        else:
            names.append(stage.name)
        STAGES.register(stage)

    yield enter
    for name in names:
        STAGES.unregister(name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, run_study: Callable[..., StudyConfig]) -> Path:
    """Folder of a study of one scan that was run without further stages."""
    folder = tmp_path_factory.mktemp("finished")
    make_dataset(folder / "bids")
    curves = curve_table(brain=[0.0, 9.0, 5.0, 4.0], liver=[0.0, 2.0, 3.0, 1.0])
    write_curves(folder / "bids", curves)
    run_study(folder, **STUDY)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path, run_study: Callable[..., StudyConfig]) -> Callable[[], StudyConfig]:
    """Run what is left of a copy of the finished study."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return lambda: run_study(tmp_path, **STUDY)


@pytest.fixture
def study(run: Callable[[], StudyConfig], tmp_path: Path) -> StudyConfig:
    """The copy as it is."""
    return load_study(tmp_path / "study.yaml")


def store_of(config: StudyConfig) -> Store:
    return open_study_store(config)


def planned(config: StudyConfig, stage: str) -> PlannedStep:
    return next(one for one in make_plan(config, store_of(config)).steps if one.step.stage == stage)


def to_run(config: StudyConfig) -> list[str]:
    return [step.title for step in make_plan(config, store_of(config)).to_run]


def scan_state(config: StudyConfig) -> ScanState:
    return study_status(config).scans[0]


def told(config: StudyConfig) -> tuple[str, ScanStatus, tuple[str, ...]]:
    state = scan_state(config)
    return state.scan, state.status, state.reasons


def test_a_study_without_further_stages_is_the_reference(study: StudyConfig) -> None:
    assert told(study) == ("sub-01", ScanStatus.SUCCESS, ())
    stages = [one.step.stage for one in make_plan(study, store_of(study)).steps]
    assert stages == ["ingest", "input-function", "regions", "report", "cohort"]


def test_a_registered_stage_is_planned_run_and_then_current(
    register: Callable[[object], None], study: StudyConfig, run: Callable[[], StudyConfig]
) -> None:
    config = study
    register(Peak())
    assert planned(config, "peak").reasons == ("not made yet",)
    assert to_run(config) == ["sub-01 peak", "cohort"]
    assert told(config) == ("sub-01", ScanStatus.INCOMPLETE, ("not done: sub-01 peak",))
    run()
    assert planned(config, "peak").state is State.CURRENT
    assert to_run(config) == []
    assert scan_state(config).status is ScanStatus.SUCCESS
    assert store_of(config).read_text(PEAK, "peak.txt") == "9000"  # [Bq/mL]
    marker = store_of(config).marker(PEAK)
    assert marker is not None
    assert marker.warnings == ("a peak is noisy.",)


def test_a_new_version_of_its_algorithm_makes_its_products_stale(
    register: Callable[[object], None], run: Callable[[], StudyConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    register(Peak())
    config = run()
    monkeypatch.setattr(Peak, "version", 2)
    assert planned(config, "peak").reasons == ("peak algorithm: 1 → 2",)
    assert to_run(config) == ["sub-01 peak", "cohort"]


def test_a_stage_that_breaks_fails_its_scan_until_it_is_mended(
    register: Callable[[object], None], run: Callable[[], StudyConfig]
) -> None:
    register(Peak(RuntimeError("no disk")))
    config = run()
    assert told(config) == ("sub-01", ScanStatus.FAILED, ("sub-01 peak: RuntimeError: no disk",))
    assert planned(config, "peak").state is State.RUN
    assert store_of(config).read_text("cohort", "index.tsv").splitlines()[1].split("\t")[3] == "failed"
    register(Peak())
    run()
    assert scan_state(config).status is ScanStatus.SUCCESS
    assert store_of(config).products("failures") == {}


@pytest.mark.parametrize(("kind", "status"), [(Peak, ScanStatus.SUCCESS), (Analysis, ScanStatus.UNAVAILABLE)])
def test_a_refused_input_is_recorded_and_counts_where_the_stage_is_an_analysis(
    register: Callable[[object], None], run: Callable[[], StudyConfig], kind: type[Peak], status: ScanStatus
) -> None:
    register(kind(InputError("the curve has no peak.")))
    config = run()
    marker = store_of(config).marker(PEAK)
    assert marker is not None
    assert (marker.status, marker.reason) == ("unavailable", "the curve has no peak.")
    assert planned(config, "peak").state is State.CURRENT
    assert scan_state(config).status is status
    reasons = ("sub-01 peak: the curve has no peak.",) if status is ScanStatus.UNAVAILABLE else ()
    assert scan_state(config).reasons == reasons


def test_its_memory_is_projected(register: Callable[[object], None], study: StudyConfig) -> None:
    assert largest_need(study, make_plan(study, store_of(study))) is None
    register(Peak())
    need = largest_need(study, make_plan(study, store_of(study)))
    assert need == MemoryNeed("sub-01 peak", (1, 1, 1), 123)


def test_a_stage_of_the_cohort_reads_what_is_sound(
    register: Callable[[object], None], run: Callable[[], StudyConfig]
) -> None:
    register(Count())
    register(Peak())
    config = run()
    assert store_of(config).read_text("count", "count.txt") == "1"
    assert to_run(config) == []
    register(Peak(InputError("the curve has no peak.")))
    store_of(config).delete(PEAK)
    run()
    assert store_of(config).read_text("count", "count.txt") == "0"


def test_the_cohort_is_told_how_scans_stand_and_reads_no_input_file(study: StudyConfig, tmp_path: Path) -> None:
    """Its job is made by the driver; where it runs, the data set need not be within reach."""
    store = store_of(study)
    before = store.marker("cohort")
    (job,) = cohort_jobs(study, make_plan(study, store))
    (tmp_path / "bids").rename(tmp_path / "elsewhere")
    store.delete("cohort")
    with ThreadPoolExecutor(1) as executor:
        assert run_step(job, executor).status == "success"
    after = store.marker("cohort")
    assert before is not None
    assert after is not None
    assert (after.fingerprint, after.content) == (before.fingerprint, before.content)


def test_every_stage_says_what_it_is() -> None:
    assert list(STAGES) == [
        "ingest",
        "input-function",
        "explanation",
        "regions",
        "maps",
        "selection",
        "report",
        "export",
        "cohort",
    ]
    for stage in STAGES.values():
        assert stage.version >= 1
        assert stage.title


def test_the_registry_is_light() -> None:
    """It is read wherever a study is planned; networks, arrays and tables are imported where a stage runs."""
    heavy = {"torch", "xarray", "zarr", "pandas", "nibabel", "lmfit"}
    code = f"import sys, dlif_core.study.plan; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
