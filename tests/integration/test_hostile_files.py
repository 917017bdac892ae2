"""Files of one subject never stop a study: the scan is excluded with the file named, and the others complete."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from dlif_core.errors import ConfigurationError, ExitCode
from dlif_core.phantom import write_cohort
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.products import ingested_scans, source_name
from dlif_core.study.states import ScanState, ScanStatus
from dlif_core.study.status import study_status
from tests.denied_files import DeniedFiles, denied_copy

pytestmark = pytest.mark.slow

STUDY: dict[str, object] = {
    "data": "bids",
    "input_functions": {"arterial": {}},
    "kinetics": [{"model": "suv", "window": [20, 45], "maps": False}],
}
LONG = "sub-long_task-" + "a" * 100 + "_trc-" + "b" * 70 + "_rec-" + "c" * 40


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sound") / "bids"
    write_cohort(root, 1, seed=3, voxel_size=2.0)
    shutil.rmtree(root / "derivatives" / "phantom")
    return root


@pytest.fixture
def bids(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "bids"))


def add(bids: Path, subject: str, name: str = "") -> Path:
    """A further subject with the files of the sound one; returns the folder of its PET files."""
    (model,) = bids.glob("sub-m01")
    for folder in [model, *bids.glob(f"derivatives/*/{model.name}")]:
        copied = folder.with_name(subject)
        shutil.copytree(folder, copied)
        for file in [path for path in copied.rglob("*") if path.is_file()]:
            stem = name if name and "_pet." in file.name else subject
            file.rename(file.with_name(file.name.replace(model.name, stem)))
    table = bids / "participants.tsv"
    row = next(line for line in table.read_text().splitlines() if line.startswith(model.name))
    table.write_text(table.read_text().rstrip("\n") + f"\n{row.replace(model.name, subject)}\n")
    return bids / subject / "pet"


def states(config: StudyConfig) -> dict[str, ScanState]:
    return {scan.scan: scan for scan in study_status(config).scans}


def to_run(config: StudyConfig) -> int:
    return len(make_plan(config, open_study_store(config)).to_run)


def file(pet: Path, end: str) -> Path:
    (found,) = pet.glob(f"*{end}")
    return found


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(f"../../.git/annex/objects/{path.name}")


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def lost_folder(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.symlink_to("/nowhere/at/all")


def linked_out(path: Path) -> None:
    bids = next(parent for parent in path.parents if parent.name == "bids")
    other = bids.parent / f"other-{path.name}"
    other.write_text("time root:x:0:0:Jane Doe\n0\n")
    path.unlink()
    path.symlink_to(other)


def folder_linked_out(path: Path) -> None:
    bids = next(parent for parent in path.parents if parent.name == "bids")
    other = bids.parent / f"other-{path.name}"
    path.parent.rename(other)
    path.parent.symlink_to(other)


FAULTS: list[tuple[Callable[[Path], None], str, str]] = [
    (dangling, "_pet.nii.gz", "git annex get"),
    (dangling, "_pet.json", "git annex get"),
    (dangling, "_blood.tsv", "git annex get"),
    (dangling, "_blood.json", "git annex get"),
    (halved, "_pet.nii.gz", "_pet.nii.gz"),
    (halved, "_pet.json", "_pet.json"),
    (fifo, "_pet.nii.gz", "no file with content"),
    (lost_folder, "_pet.nii.gz", "leads nowhere"),
    (linked_out, "_blood.tsv", "leads out of the data"),
    (linked_out, "_pet.json", "leads out of the data"),
    (folder_linked_out, "_pet.nii.gz", "leads out of the data"),
]


@dataclass(frozen=True)
class Course:
    """States of all scans after a run with spoilt files, and after another with all files back."""

    spoilt: dict[str, ScanState]
    exit_code: ExitCode
    left_to_run: int
    mended: dict[str, ScanState]


@pytest.fixture(scope="module")
def course(sound: Path, tmp_path_factory: pytest.TempPathFactory, run_study: Callable[..., StudyConfig]) -> Course:
    folder = tmp_path_factory.mktemp("spoilt")
    bids = Path(shutil.copytree(sound, folder / "bids"))
    pets = [add(bids, f"sub-f{number}") for number in range(len(FAULTS))]
    kept = shutil.copytree(bids, folder / "kept")
    for pet, (spoil, end, _) in zip(pets, FAULTS, strict=True):
        spoil(file(pet, end))
    config = run_study(folder, **STUDY)
    spoilt, code, left = states(config), study_status(config).exit_code, to_run(config)
    shutil.rmtree(bids)
    shutil.move(kept, bids)
    return Course(spoilt, code, left, states(run_study(folder, **STUDY)))


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[f"{spoil.__name__}{end}" for spoil, end, _ in FAULTS])
def test_a_spoilt_file_excludes_its_scan(course: Course, number: int) -> None:
    state = course.spoilt[f"sub-f{number}"]
    assert state.status is ScanStatus.EXCLUDED
    (reason,) = state.reasons
    assert f"sub-f{number}/pet" in reason
    assert FAULTS[number][2] in reason


def test_the_others_complete_and_a_second_run_has_nothing_to_do(course: Course) -> None:
    assert course.spoilt["sub-m01"].status is ScanStatus.SUCCESS
    assert course.exit_code is ExitCode.PARTIAL
    assert course.left_to_run == 0


def test_a_scan_is_processed_once_its_files_are_back(course: Course) -> None:
    assert {state.status for state in course.mended.values()} == {ScanStatus.SUCCESS}


@pytest.fixture
def denied(bids: Path) -> Iterator[str]:
    add(bids, "sub-denied")
    yield denied_copy(str(bids))
    DeniedFiles.denied.clear()


@pytest.mark.parametrize("place", ["sub-denied", "sub-denied/pet", "sub-denied_pet.nii.gz", "sub-denied_pet.json"])
def test_what_an_object_store_denies_excludes_its_scan(
    denied: str, tmp_path: Path, run_study: Callable[..., StudyConfig], place: str
) -> None:
    DeniedFiles.denied.add(place)
    config = run_study(tmp_path, **STUDY | {"data": denied})
    found = states(config)
    assert found["sub-m01"].status is ScanStatus.SUCCESS
    assert found["sub-denied"].status is ScanStatus.EXCLUDED
    assert "may not be" in found["sub-denied"].reasons[0]
    assert place in found["sub-denied"].reasons[0]
    assert to_run(config) == 0
    DeniedFiles.denied.clear()
    run_study(tmp_path, **STUDY | {"data": denied})
    assert {state.status for state in states(config).values()} == {ScanStatus.SUCCESS}


@pytest.mark.parametrize("place", ["pet/sub-locked_pet.nii.gz", "pet", "."])
def test_what_this_user_may_not_read_excludes_its_scan(
    bids: Path, run_study: Callable[..., StudyConfig], place: str
) -> None:
    locked = add(bids, "sub-locked").parent / place
    mode = stat.S_IMODE(locked.stat().st_mode)
    locked.chmod(0)
    if os.access(locked, os.R_OK):
        pytest.skip("the superuser may read everything")
    try:
        config = run_study(bids.parent, **STUDY)
        assert states(config)["sub-m01"].status is ScanStatus.SUCCESS
        assert states(config)["sub-locked"].status is ScanStatus.EXCLUDED
        assert to_run(config) == 0
    finally:
        locked.chmod(mode)
    run_study(bids.parent, **STUDY)
    assert states(config)["sub-locked"].status is ScanStatus.SUCCESS


def test_an_impossible_label_is_told_at_plan_and_excluded(bids: Path, run_study: Callable[..., StudyConfig]) -> None:
    add(bids, "sub-Müller")
    study = bids.parent / "study.yaml"
    study.write_text(yaml.safe_dump({"name": "test", "output": "out"} | STUDY))
    config = load_study(study)
    planned = make_plan(config, open_study_store(config)).of_scan("sub-Müller")[0]
    assert any("to be excluded" in reason and f"{bids}/sub-Müller" in reason for reason in planned.reasons)
    run_study(bids.parent, **STUDY)
    found = states(config)
    assert found["sub-m01"].status is ScanStatus.SUCCESS
    assert found["sub-Müller"].status is ScanStatus.EXCLUDED
    assert "letters a to z" in found["sub-Müller"].reasons[0]
    assert to_run(config) == 0


def test_a_long_name_is_shortened_in_the_store_and_recorded(bids: Path, run_study: Callable[..., StudyConfig]) -> None:
    add(bids, "sub-long", LONG)
    config = run_study(bids.parent, **STUDY)
    assert {scan: state.status for scan, state in states(config).items()} == {
        "sub-m01": ScanStatus.SUCCESS,
        LONG: ScanStatus.SUCCESS,
    }
    store = open_study_store(config)
    assert ingested_scans(store) == sorted(["sub-m01", LONG])
    marker = store.marker(source_name(LONG))
    assert marker is not None
    assert marker.parts["scan"] == LONG
    assert LONG not in marker.product


def test_two_scans_of_one_name_are_told(bids: Path, run_study: Callable[..., StudyConfig]) -> None:
    pet = add(bids, "sub-twice")
    for session in ("ses-a", "ses-b"):
        shutil.copytree(pet, bids / "sub-twice" / session / "pet")
    shutil.rmtree(pet)
    found = states(run_study(bids.parent, **STUDY))
    assert found["sub-m01"].status is ScanStatus.SUCCESS
    assert found["sub-twice"].status is ScanStatus.EXCLUDED
    (reason,) = found["sub-twice"].reasons
    assert "two scans are called 'sub-twice'" in reason
    assert "ses-a" in reason
    assert "ses-b" in reason


@pytest.mark.parametrize("scans", [["sub-m01", "sub-lost"], ["sub-*_ses-a", "sub-m01"], ["*"]])
def test_patterns_of_scans_include_what_could_not_be_listed(
    bids: Path, run_study: Callable[..., StudyConfig], scans: list[str]
) -> None:
    (bids / "sub-lost").symlink_to("/nowhere/at/all")
    assert set(states(run_study(bids.parent, **STUDY, scans=scans))) == {"sub-m01", "sub-lost"}


class TestPlaces:
    def fault(self, folder: Path, **content: object) -> ConfigurationError:
        path = folder / "study.yaml"
        path.write_text(yaml.safe_dump({"name": "test", "output": "out"} | STUDY | content))
        config = load_study(path)
        with pytest.raises(ConfigurationError) as fault:
            make_plan(config, open_study_store(config))
        assert fault.value.hint
        return fault.value

    @pytest.mark.parametrize("setting", ["data", "output"])
    def test_an_unknown_protocol(self, bids: Path, setting: str) -> None:
        fault = self.fault(bids.parent, **{setting: "foo://bucket/x"})
        assert fault.where == "foo://bucket/x"
        assert "foo" in fault.message
        assert f"`{setting}`" in fault.hint

    def test_an_output_that_can_not_be_made(self, bids: Path) -> None:
        (bids.parent / "taken").write_text("")
        assert "taken" in self.fault(bids.parent, output="taken").where

    @pytest.mark.parametrize("output", ["bids", "bids/out", "bids/sub-m01/out"])
    def test_an_output_among_the_data(self, bids: Path, output: str) -> None:
        assert "inside the data" in self.fault(bids.parent, output=output).message

    def test_an_output_in_a_folder_of_derivatives(self, bids: Path, run_study: Callable[..., StudyConfig]) -> None:
        content = STUDY | {"output": "bids/derivatives/dlif"}
        config = run_study(bids.parent, **content)
        assert {state.status for state in states(config).values()} == {ScanStatus.SUCCESS}
        assert to_run(config) == 0
