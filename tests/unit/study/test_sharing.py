"""Who does what when several runs share a study."""

from collections.abc import Iterator

import pytest
import yaml

from dlif_core.errors import ExitCode, StoreBusyError
from dlif_core.phantom import write_cohort
from dlif_core.store import Claims, Store
from dlif_core.study.config import load_study
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.products import claim_name
from dlif_core.study.sharing import claimed_cohort, claimed_part, drawn, require_work
from dlif_core.study.step import Plan

SCANS = ["sub-m01", "sub-m02", "sub-m03"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    folder = tmp_path_factory.mktemp("sharing")
    write_cohort(folder / "bids", len(SCANS), seed=5, voxel_size=2.5)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({"name": "sharing", "data": "bids", "output": "out"}))
    config = load_study(path)
    store = open_study_store(config)
    return make_plan(config, store), store


@pytest.fixture
def other(study: tuple[Plan, Store]) -> Iterator[Claims]:
    with Claims(study[1].folder) as claims:
        yield claims


@pytest.fixture
def told() -> list[str]:
    return []


def scans_to_run(plan: Plan) -> set[str]:
    return {step.scan for step in plan.to_run if step.scan}


def test_scans_of_another_run_are_left_to_it(study: tuple[Plan, Store], other: Claims, told: list[str]) -> None:
    other.take(claim_name("sub-m02"))
    with claimed_part(*study, told.append) as part:
        assert scans_to_run(part.plan) == {"sub-m01", "sub-m03"}
        assert [one.step.product for one in part.plan.steps if not one.step.scan] == ["cohort"]
        assert "sub-m02: left to" in told[0]
        assert part.has("sub-m01")
        assert not part.has("sub-m02")
        assert other.take(claim_name("sub-m03")) is not None
        part.give_back("sub-m03")
        assert other.take(claim_name("sub-m03")) is None


def test_the_run_that_ends_last_makes_the_cohort(study: tuple[Plan, Store], other: Claims, told: list[str]) -> None:
    other.take(claim_name("sub-m02"))
    with claimed_part(*study, told.append) as part:
        with part.cohort() as is_ours:
            assert not is_ours
        assert "The cohort is left to" in told[-1]
        other.give_back(claim_name("sub-m02"))
        with part.cohort() as is_ours:
            assert is_ours
            with pytest.raises(StoreBusyError, match="has the cohort"), claimed_cohort(study[1]):
                pass
    assert study[1].folder.files(".claims/parts") == []


def test_a_study_that_another_run_has_is_refused(study: tuple[Plan, Store], other: Claims, told: list[str]) -> None:
    for scan in SCANS:
        require_work(*study)
        other.take(claim_name(scan))
    with pytest.raises(StoreBusyError):
        require_work(*study)
    words = r"all scans that are left to do \(3\): .* on .* \(process"
    with pytest.raises(StoreBusyError, match=words) as caught, claimed_part(*study, told.append):
        pass
    assert caught.value.exit_code is ExitCode.STORE
    for scan in SCANS:
        assert other.has(claim_name(scan))


def test_scans_are_drawn_once_and_those_of_others_last(
    study: tuple[Plan, Store], other: Claims, told: list[str]
) -> None:
    other.take(claim_name("sub-m01"))
    other.take(claim_name("sub-m02"))
    with Claims(study[1].folder) as claims:
        found = []
        for scan in drawn(claims, SCANS, told.append):
            found.append(scan)
            other.give_back(claim_name("sub-m01"))
    assert found == ["sub-m03", "sub-m01"]
    assert len(told) == 1
    assert told[0].startswith("sub-m02: left to")
