"""What can't be listed, is misplaced or oddly named is told, and hides nothing else."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlif_core.errors import InputError
from dlif_core.ingest import ScanFiles, find_scans, image_geometry, open_scan
from tests.denied_files import denied_copy
from tests.unit.ingest.bids.dataset import SIDECAR, curve_table, make_dataset, voxels, write, write_image


def add_subject(root: Path, subject: str, name: str = "", session: str = "") -> Path:
    """A scan with an image in a subject's folder; returns the folder of its PET files."""
    pet = root / subject / session / "pet"
    stem = name or "_".join(filter(None, (subject, session)))
    write(pet / f"{stem}_pet.json", SIDECAR)
    write_image(pet / f"{stem}_pet.nii", voxels())
    return pet


def scans(root: Path | str) -> dict[str, ScanFiles]:
    return {files.scan_id: files for files in find_scans(str(root))}


def sound(found: dict[str, ScanFiles]) -> set[str]:
    """Names of the scans without a fault."""
    return {name for name, files in found.items() if not files.faults}


def refusal(files: ScanFiles, *words: str) -> None:
    """Neither opened nor measured, with all these words."""
    for read in (lambda: open_scan(files).__enter__(), lambda: image_geometry(files)):
        with pytest.raises(InputError) as caught:
            read()
        for word in words:
            assert word in str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_dataset(tmp_path / "bids")
    return tmp_path / "bids"


class TestListing:
    @pytest.mark.parametrize("folder", ["sub-02", "sub-02/pet", "sub-02/ses-a", "sub-02/ses-a/pet"])
    def test_a_folder_that_may_not_be_listed_is_a_scan_with_a_fault(self, root: Path, folder: str) -> None:
        add_subject(root, "sub-02", session="ses-a" if "ses-a" in folder else "")
        found = scans(denied_copy(str(root), folder))
        name = "sub-02_ses-a" if "ses-a" in folder else "sub-02"
        assert set(found) == {"sub-01", name}
        assert sound(found) == {"sub-01"}
        refusal(found[name], f"denied:///data/{folder}: the folder may not be listed.", "permission")
        assert find_scans("denied:///data") == list(found.values())

    def test_the_other_session_of_the_subject_is_found(self, root: Path) -> None:
        for session in ("ses-a", "ses-b"):
            add_subject(root, "sub-02", session=session)
        found = scans(denied_copy(str(root), "sub-02/ses-b"))
        assert sound(found) == {"sub-01", "sub-02_ses-a"}
        assert set(found) - sound(found) == {"sub-02_ses-b"}

    def test_a_folder_of_derivatives_is_a_fault_of_its_subject(self, root: Path) -> None:
        add_subject(root, "sub-02")
        for subject in ("sub-01", "sub-02"):
            labels = root / "derivatives" / "seg" / subject / f"{subject}_dseg.tsv"
            write(labels, "index\tname\n")
        found = scans(denied_copy(str(root), "seg/sub-02"))
        assert sound(found) == {"sub-01"}
        refusal(found["sub-02"], "derivatives/seg/sub-02: the folder may not be listed.")

    def test_a_folder_of_derivatives_of_all_is_a_fault_of_all(self, root: Path) -> None:
        write(root / "derivatives" / "seg" / "sub-01" / "sub-01_dseg.tsv", "index\tname\n")
        refusal(scans(denied_copy(str(root), "derivatives/seg"))["sub-01"], "derivatives/seg: the folder may not be")

    def test_the_root_itself(self, root: Path) -> None:
        uri = denied_copy(str(root), "data")
        with pytest.raises((InputError, PermissionError)):
            find_scans(uri, format="pet-bids")

    @pytest.mark.parametrize("link", ["sub-02", "sub-02/pet", "derivatives/seg"])
    def test_a_link_in_place_of_a_folder_that_leads_nowhere(self, root: Path, link: str) -> None:
        (root / link).parent.mkdir(exist_ok=True)
        (root / link).symlink_to("/nowhere/at/all")
        faulty = "sub-01" if link == "derivatives/seg" else "sub-02"
        refusal(scans(root)[faulty], f"{link}: it is a link that leads nowhere.")

    def test_links_to_folders_are_followed(self, root: Path, tmp_path: Path) -> None:
        inside = add_subject(root, "sub-02")
        inside.rename(root / "raw")
        inside.symlink_to(root / "raw")
        add_subject(tmp_path / "elsewhere", "sub-03")
        (root / "sub-03").symlink_to(tmp_path / "elsewhere" / "sub-03")
        write_image(tmp_path / "elsewhere" / "sub-03_dseg.nii", voxels()[..., 0])
        (root / "derivatives").symlink_to(tmp_path / "elsewhere")
        found = {files.scan_id: files for files in find_scans(str(root), links=[str(tmp_path / "elsewhere")])}
        assert sound(found) == {"sub-01", "sub-02", "sub-03"}
        assert [uri.rsplit("/", 1)[-1] for uri in found["sub-03"].role("labels")] == ["sub-03_dseg.nii"]

    def test_links_in_a_circle_end(self, root: Path) -> None:
        folder = root / "derivatives" / "seg"
        write(folder / "sub-01_dseg.tsv", "index\tname\n")
        (folder / "again").symlink_to(folder)
        (folder / "up").symlink_to(root / "derivatives")
        (root / "derivatives" / "self").symlink_to("self")
        assert "sub-01" in scans(root)

    def test_results_below_derivatives_are_no_data(self, root: Path) -> None:
        results = root / "derivatives" / "dlif"
        write(results / "dlif-store.json", "{}")
        write(results / "cohort" / "sub-01_tacs.tsv", curve_table(brain=[1.0, 2.0, 3.0, 4.0]))
        assert scans(root)["sub-01"].role("curves") == ()

    def test_what_systems_leave_beside_the_data_is_none(self, root: Path) -> None:
        before = scans(root)
        pet = root / "sub-01" / "pet"
        for path in [*pet.iterdir(), root / "participants.tsv"]:
            path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")
            path.with_name(f"~${path.name}").write_bytes(b"\x00")
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", ".sub-01_pet.json"):
            (pet / name).write_bytes(b"\x00")
        for name in ("._sub-01_desc-x_tacs.tsv", "~$sub-01_desc-x_tacs.tsv", "._sub-01_dseg.nii.gz"):
            write(root / "derivatives" / "x" / "sub-01" / name, "")
        (root / "._sub-02" / "pet").mkdir(parents=True)
        assert scans(root) == before

    @pytest.mark.parametrize("end", ["_pet.json", "_pet.nii"])
    @pytest.mark.parametrize("link", [False, True])
    def test_a_folder_in_place_of_a_file_is_told(self, root: Path, end: str, link: bool) -> None:
        pet = add_subject(root, "sub-05")
        (other,) = {"_pet.json", "_pet.nii"} - {end}
        path = pet / f"sub-05{end}"
        path.unlink()
        path.symlink_to(pet) if link else path.mkdir()
        found = scans(root)
        refusal(found["sub-05"], f"sub-05/pet/sub-05{end}: a folder has the name of a file", "Put the file itself")
        (pet / f"sub-05{other}").unlink()
        refusal(scans(root)["sub-05"], "a folder has the name of a file")
        assert sound(found) == {"sub-01"}

    def test_an_empty_folder_of_a_subject_is_told(self, root: Path) -> None:
        (root / "sub-05").mkdir()
        found = scans(root)
        refusal(found["sub-05"], "sub-05", "the folder is empty", "Fetch or restore")
        assert sound(found) == set(found) - {"sub-05"}

    @pytest.mark.parametrize("folder", ["sub-05", "sub-05/ses-a"])
    def test_an_image_outside_of_a_folder_pet_is_told(self, root: Path, folder: str) -> None:
        write_image(root / folder / "sub-05_pet.nii.gz", voxels())
        found = scans(root)
        lost = set(found) - sound(found)
        assert len(lost) == 1
        refusal(found[lost.pop()], "outside of a folder pet", "sub-05_pet.nii.gz")

    def test_a_subject_without_pet_is_none(self, root: Path) -> None:
        write_image(root / "sub-05" / "anat" / "sub-05_T1w.nii.gz", voxels())
        assert "sub-05" not in scans(root)


class TestNames:
    def test_a_scan_in_the_folder_of_another_subject_is_told(self, root: Path) -> None:
        add_subject(root, "sub-02")
        add_subject(root, "sub-01", name="sub-02")
        found = scans(root)
        assert sound(found) == {"sub-01", "sub-02"}
        refusal(found["sub-02_in-sub-01"], "sub-01/pet/sub-02_pet.nii", "begins with sub-01_", "folder sub-01")

    def test_a_scan_in_the_folder_of_another_session_is_told(self, root: Path) -> None:
        add_subject(root, "sub-02", session="ses-a")
        add_subject(root, "sub-02", name="sub-02_ses-a", session="ses-b")
        found = scans(root)
        assert sound(found) == {"sub-01", "sub-02_ses-a"}
        refusal(found["sub-02_ses-a_in-sub-02-ses-b"], "folder sub-02/ses-b", "begins with sub-02_ses-b_")

    @pytest.mark.parametrize("subject", ["sub-02", "sub-02/ses-a"])
    def test_a_folder_of_pet_data_in_capitals_is_told(self, root: Path, subject: str) -> None:
        write(root / subject / "PET" / "sub-02_pet.json", SIDECAR)
        found = scans(root)
        assert sound(found) == {"sub-01"}
        (faulty,) = set(found) - {"sub-01"}
        refusal(found[faulty], f"{subject}/PET: ", "small letters", "Rename")

    @pytest.mark.parametrize("name", ["Copy of sub-01", "Kopie von sub-01", "sub-01 - Copy_x", "pet"])
    def test_a_copy_is_no_second_scan_in_silence(self, root: Path, name: str) -> None:
        pet = add_subject(root, "sub-01", name=name)
        found = scans(root)
        assert "sub-01" in sound(found)
        (faulty,) = set(found) - {"sub-01"}
        refusal(found[faulty], str(pet))

    def test_blood_of_another_subject_is_told(self, root: Path) -> None:
        add_subject(root, "sub-02")
        write(root / "sub-02" / "pet" / "sub-01_recording-manual_blood.tsv", "time\n")
        found = scans(root)
        assert sound(found) == {"sub-01"}
        refusal(found["sub-02"], "sub-02/pet/sub-01_recording-manual_blood.tsv", "does not fit the folder sub-02")

    @pytest.mark.parametrize("name", ["sub-01_dseg.nii", "sub-01_desc-x_tacs.tsv"])
    def test_regions_of_another_subject_are_told(self, root: Path, name: str) -> None:
        for subject in ("sub-02", "sub-03"):
            add_subject(root, subject)
        write(root / "derivatives" / "seg" / "sub-02" / name, "")
        found = scans(root)
        assert sound(found) == {"sub-03"}
        for faulty in ("sub-01", "sub-02"):
            refusal(found[faulty], f"derivatives/seg/sub-02/{name}", "does not fit the folder sub-02")

    @pytest.mark.parametrize(
        ("label", "odd"), [("Müller", "'ü'"), ("0 2", "' '"), ("été", "'é'"), ("a'b", '"\'"'), ("1\n", r"'\n'")]
    )
    def test_a_label_has_letters_and_digits(self, root: Path, label: str, odd: str) -> None:
        add_subject(root, f"sub-{label}")
        found = scans(root)
        assert sound(found) == {"sub-01"}
        refusal(found[f"sub-{label}"], f"{root}/sub-{label}: ", f"has {odd}, which no label may have", "a to z")

    def test_a_session_and_an_entity_too(self, root: Path) -> None:
        add_subject(root, "sub-02", session="ses-früh")
        add_subject(root, "sub-03", name="sub-03_task-Übung")
        found = scans(root)
        assert sound(found) == {"sub-01"}
        refusal(found["sub-02_ses-früh"], f"{root}/sub-02/ses-früh: ")
        refusal(found["sub-03_task-Übung"], "sub-03_task-Übung_pet.nii: ")

    def test_names_in_another_encoding_are_told(self, root: Path) -> None:
        folder = os.fsencode(root) + b"/sub-M\xfcller/pet"
        try:
            os.makedirs(folder)
        except OSError:
            pytest.skip("this file system has names in UTF-8 only")
        found = scans(root)
        assert sound(found) == {"sub-01"}
        refusal(found[r"sub-M\udcfcller"], "the name is not in UTF-8")
        (root / "sub-01" / "pet" / os.fsdecode(b"notes \xfc.txt")).write_text("")
        assert sound(scans(root)) == {"sub-01"}
        (root / "sub-01" / "pet" / os.fsdecode(b"sub-01_rec-\xfc_pet.json")).write_text("{}")
        refusal(scans(root)["sub-01"], r"sub-01_rec-\udcfc_pet.json: the name is not in UTF-8")


PIECES = st.sampled_from(
    [
        "sub-01",
        "sub-02",
        "ses-a",
        "pet",
        "PET",
        "_pet",
        "_blood",
        "_dseg",
        "_tacs",
        "_task-x",
        "sub-",
        "-",
        "_",
        ".json",
        ".tsv",
        ".nii",
        ".nii.gz",
        "ü",
        "�",
        "\n",
        "'",
        "..",
        "._",
        "~$",
        "[*]",
        "%",
        "#",
        ":",
        "a" * 120,
        "Copy of ",
        " (1)",
    ]
)
NAMES = st.lists(PIECES, min_size=1, max_size=5).map("".join).filter(lambda name: name.strip(".") and len(name) < 200)
KINDS = st.sampled_from(["folder", "file", "nowhere", "up", "itself", "device"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 9), NAMES, KINDS), max_size=12))
def test_no_name_stops_the_others_or_is_told_in_letters_that_nothing_can_write(
    tmp_path: Path, entries: list[tuple[int, str, str]]
) -> None:
    root = tmp_path / "bids"
    shutil.rmtree(root, ignore_errors=True)
    pet = root / "sub-01" / "pet"
    write(pet / "sub-01_pet.json", SIDECAR)
    folders = [root, pet.parent, pet, root / "derivatives"]
    folders[-1].mkdir()
    for number, name, kind in entries:
        path = folders[number % len(folders)] / name
        if os.path.lexists(path):
            continue
        if kind == "folder":
            path.mkdir()
            folders.append(path)
        elif kind == "file":
            path.write_text("{}")
        else:
            path.symlink_to({"nowhere": "nowhere", "up": "..", "itself": name, "device": "/dev/zero"}[kind])
    found = find_scans(str(root))
    assert "sub-01" in {files.scan_id for files in found}
    for files in found:
        " ".join([files.scan_id, *(text for fault in files.faults for text in fault)]).encode()
