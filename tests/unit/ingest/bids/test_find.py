"""Which scans a PET-BIDS dataset holds and which files belong to each."""

import pickle
from pathlib import Path

import fsspec
import pytest

from dlif_core.errors import MissingInputError
from dlif_core.ingest import find_scans
from tests.unit.ingest.bids.dataset import SIDECAR, make_dataset, write


def names(uris: tuple[str, ...]) -> list[str]:
    return [uri.rsplit("/", 1)[-1] for uri in uris]


def test_a_scan_is_found_with_all_its_files(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    (scan,) = find_scans(str(tmp_path))
    assert (scan.scan_id, scan.subject, scan.session) == ("sub-01", "sub-01", "")
    assert names(scan.role("image")) == ["sub-01_pet.nii.gz"]
    assert names(scan.role("blood/manual")) == [
        "sub-01_recording-manual_blood.tsv",
        "sub-01_recording-manual_blood.json",
    ]
    assert list(scan.inputs()) == [
        "participants.json",
        "participants.tsv",
        "sub-01/pet/sub-01_pet.json",
        "sub-01/pet/sub-01_pet.nii.gz",
        "sub-01/pet/sub-01_recording-manual_blood.json",
        "sub-01/pet/sub-01_recording-manual_blood.tsv",
    ]
    assert all(Path(uri).is_file() for uri in scan.inputs().values())
    assert pickle.loads(pickle.dumps(scan)) == scan


def test_entities_keep_scan_ids_apart(tmp_path: Path) -> None:
    for stem in ("trc-FDG_run-1", "trc-FDG_run-2", "trc-PIB"):
        write(tmp_path / f"sub-01/ses-a/pet/sub-01_ses-a_{stem}_pet.json", SIDECAR)
    scans = find_scans(str(tmp_path))
    assert [scan.scan_id for scan in scans] == [
        "sub-01_ses-a_trc-FDG_run-1",
        "sub-01_ses-a_trc-FDG_run-2",
        "sub-01_ses-a_trc-PIB",
    ]
    assert {scan.session for scan in scans} == {"ses-a"}


def test_sidecars_are_inherited_from_every_level_above(tmp_path: Path) -> None:
    folder = tmp_path / "sub-01" / "ses-a" / "pet"
    for path in (
        tmp_path / "pet.json",
        tmp_path / "trc-FDG_pet.json",
        tmp_path / "trc-PIB_pet.json",
        tmp_path / "sub-01" / "sub-01_pet.json",
        folder / "sub-01_ses-a_pet.json",
        folder / "sub-01_ses-a_trc-FDG_pet.json",
    ):
        write(path, {})
    write(folder / "sub-01_ses-a_trc-FDG_pet.nii.gz", "")
    (scan,) = find_scans(str(tmp_path))
    assert names(scan.role("sidecar")) == [
        "pet.json",
        "trc-FDG_pet.json",
        "sub-01_pet.json",
        "sub-01_ses-a_pet.json",
        "sub-01_ses-a_trc-FDG_pet.json",
    ]


def test_blood_goes_to_the_scans_that_its_entities_fit(tmp_path: Path) -> None:
    folder = tmp_path / "sub-01" / "pet"
    for run in ("1", "2"):
        write(folder / f"sub-01_run-{run}_pet.json", SIDECAR)
    write(folder / "sub-01_run-1_recording-auto_blood.tsv", "time\n")
    write(folder / "sub-01_blood.tsv", "time\n")
    first, second = find_scans(str(tmp_path))
    assert sorted(role for role in first.files if role.startswith("blood")) == ["blood/auto", "blood/blood"]
    assert [role for role in second.files if role.startswith("blood")] == ["blood/blood"]


def test_curves_are_chosen_by_pattern_and_pvc_only_on_request(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    folder = tmp_path / "derivatives" / "extract" / "sub-01"
    for name in ("desc-seg_tacs.tsv", "pvc-gtm_desc-seg_tacs.tsv", "desc-seg_morph.tsv", "desc-other_morph.tsv"):
        write(folder / f"sub-01_{name}", "")
    write(tmp_path / "derivatives" / "extract" / "sub-02" / "sub-02_desc-seg_tacs.tsv", "")
    (plain,) = find_scans(str(tmp_path))
    assert names(plain.role("curves")) == ["sub-01_desc-seg_tacs.tsv"]
    (corrected,) = find_scans(str(tmp_path), curves="*_pvc-*_tacs.tsv")
    assert names(corrected.role("curves")) == ["sub-01_pvc-gtm_desc-seg_tacs.tsv"]
    assert names(corrected.role("morph")) == ["sub-01_desc-seg_morph.tsv"]
    (by_path,) = find_scans(str(tmp_path), curves="derivatives/elsewhere/*_tacs.tsv")
    assert by_path.role("curves") == ()


def test_label_images_of_other_modalities_and_scans_are_passed_over(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    derivatives = tmp_path / "derivatives" / "seg"
    for path in (
        "sub-01/anat/sub-01_dseg.nii.gz",
        "sub-01/pet/sub-01_run-2_dseg.nii.gz",
        "sub-01/pet/sub-01_dseg.nii.gz",
    ):
        write(derivatives / path, "")
    write(derivatives / "dseg.tsv", "index\tname\n")
    (scan,) = find_scans(str(tmp_path))
    assert scan.role("labels") == (str(derivatives / "sub-01/pet/sub-01_dseg.nii.gz"),)
    assert scan.role("labels_dseg") == (str(derivatives / "dseg.tsv"),)


def test_any_fsspec_url_serves_as_root() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/cohort/sub-01/pet/sub-01_pet.json", b"{}")
    try:
        (scan,) = find_scans("memory://cohort")
    finally:
        memory.rm("/cohort", recursive=True)
    assert scan.role("sidecar") == ("memory:///cohort/sub-01/pet/sub-01_pet.json",)
    assert list(scan.inputs()) == ["sub-01/pet/sub-01_pet.json"]


def test_a_dataset_without_pet_has_no_scans(tmp_path: Path) -> None:
    write(tmp_path / "sub-01" / "anat" / "sub-01_T1w.json", {})
    assert find_scans(str(tmp_path)) == []


def test_a_missing_root_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such folder"):
        find_scans(str(tmp_path / "nowhere"))
