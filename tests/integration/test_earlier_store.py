"""A store that an earlier version wrote: what decides a product keeps its name and its value.

Three things have changed since. Scans are read again, because the checks of their data hold for all. The model of the
learned input function is another one, so curves of the earlier one are made anew. And all input functions are made
again, because curves from images have options of plasma, and each says whether metabolites are in its plasma.

The archive holds a study of two subjects with image, blood and region curves, and the products that version 0.1.0 at
commit 06f6e78 made of it; of reports and the cohort only the commit markers.
"""

import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dlif_core.input_function.plasma import ImageOptions
from dlif_core.store import open_store
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.input_functions import read_input_function
from dlif_core.study.plan import make_plan
from dlif_core.study.source import read_scan
from dlif_core.study.stages.ingest import IngestStage
from dlif_core.study.stages.input_function import InputFunctionStage
from dlif_core.study.step import State

ARCHIVE = Path(__file__).parents[1] / "data" / "earlier-store.tar.gz"
#: Digest of the model with which it was written.
EARLIER_MODEL = "9ae03ed1c5754d5002acdaeecb685eb7fd845b69d9bf059782cbfe0bcff0b9f0"

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


def test_learned_curves_of_another_model_are_made_again_with_all_that_they_decide(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IngestStage, "version", 1)
    without_plasma(monkeypatch)
    plan = make_plan(study, open_store(study.output))
    changed = {planned.step.title: planned.reasons[0] for planned in plan.steps if planned.state is not State.CURRENT}
    roots = {title: reason for title, reason in changed.items() if not reason.startswith(("result of", "scans change"))}
    assert set(roots) == {f"{scan} input-function learned" for scan in SCANS}
    assert all(f"model: {EARLIER_MODEL[:12]} →" in reason for reason in roots.values())
    assert not any("arterial" in title for title in changed)


def without_plasma(monkeypatch: pytest.MonkeyPatch) -> None:
    """Input functions as they were before those from images had options of plasma."""
    monkeypatch.setattr(InputFunctionStage, "version", 2)
    monkeypatch.setattr(ImageOptions, "deciding_settings", lambda self: _without_plasma(self.model_dump(mode="json")))


def _without_plasma(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in ImageOptions.model_fields}


def test_input_functions_are_made_again(study: StudyConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IngestStage, "version", 1)
    plan = make_plan(study, open_store(study.output))
    roots = {planned.reasons[0] for planned in plan.steps if planned.step.stage == "input-function"}
    assert roots == {"input-function algorithm: 2 → 4"}


@pytest.fixture
def as_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """The versions of stages and the model of the time when the store was written."""
    monkeypatch.setattr(IngestStage, "version", 1)
    without_plasma(monkeypatch)
    manifest = SimpleNamespace(digest=EARLIER_MODEL)
    monkeypatch.setattr("dlif_core.networks.bundle.folder.read_manifest", lambda folder: manifest)


@pytest.mark.usefixtures("as_then")
def test_every_other_product_of_it_is_current(study: StudyConfig) -> None:
    plan = make_plan(study, open_store(study.output))
    assert {planned.step.title: planned.reasons for planned in plan.steps if planned.state is not State.CURRENT} == {}
    assert len(plan.steps) == 58


@pytest.mark.usefixtures("as_then")
def test_what_decides_a_product_is_as_it_was(study: StudyConfig) -> None:
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
