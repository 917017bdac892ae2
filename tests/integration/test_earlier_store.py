"""A store that an earlier version wrote: what decides a product keeps its name and its value.

Only the version of ingest has changed since: scans are read again, because the checks of their data hold for all.

The archive holds a study of two subjects with image, blood and region curves, and the products that version 0.1.0 at
commit 06f6e78 made of it; of reports and the cohort only the commit markers.
"""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from dlif_core.store import open_store
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.input_functions import read_input_function
from dlif_core.study.plan import make_plan
from dlif_core.study.source import read_scan
from dlif_core.study.stages.ingest import IngestStage
from dlif_core.study.step import State

ARCHIVE = Path(__file__).parents[1] / "data" / "earlier-store.tar.gz"
SCANS = ("sub-01_ses-a", "sub-01_ses-b", "sub-02_ses-a")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return load_study(folder / "study.yaml")


def test_its_scans_are_read_again_so_that_they_are_checked(study: StudyConfig) -> None:
    plan = make_plan(study, open_store(study.output))
    roots = {planned.reasons[0] for planned in plan.steps if planned.step.stage == "ingest"}
    assert roots == {"ingest algorithm: 1 → 2"}


def test_every_other_product_of_it_is_current(study: StudyConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IngestStage, "version", 1)
    plan = make_plan(study, open_store(study.output))
    assert {planned.step.title: planned.reasons for planned in plan.steps if planned.state is not State.CURRENT} == {}
    assert len(plan.steps) == 58


def test_what_decides_a_product_is_as_it_was(study: StudyConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IngestStage, "version", 1)
    store = open_store(study.output)
    for planned in make_plan(study, store).steps:
        marker = store.marker(planned.step.product)
        assert marker is not None
        assert planned.step.fingerprint.parts == marker.parts, planned.step.title


@pytest.mark.parametrize("scan", SCANS)
def test_its_scans_and_input_functions_are_read(study: StudyConfig, scan: str) -> None:
    store = open_store(study.output)
    read, blood = read_scan(store, scan)
    assert read.regions.names == ("soft", "brain", "myocardium", "muscle")
    assert [recording.name for recording in blood] == ["manual"]
    assert (read.activity is None) == (scan == "sub-02_ses-a")
    curve = read_input_function(store, scan, "arterial")
    assert curve.time[0] == 0.0
    assert curve.time[-1] == read.timing.end[-1]
    assert 12e3 < curve.whole_blood.max() < 60e3
    assert np.isfinite(store.open_dataset(f"scans/{scan}.zarr/kinetics/patlak/regions")["Ki"]).all()
