"""Links that lead out of the data: nothing of the file they lead to is read, unless the study names its folder."""

import os
from pathlib import Path

import pytest

from dlif_core.errors import InputError
from dlif_core.ingest import ScanFiles, find_scans, open_scan
from dlif_core.input_function import ScanPlace
from dlif_core.input_function.from_file.files import digests, files_of
from dlif_core.input_function.from_file.options import FromFileOptions
from dlif_core.study.config import load_study
from dlif_core.study.plan import make_plan, open_study_store
from tests.unit.ingest.bids.dataset import SIDECAR, make_dataset, voxels, write, write_image
from tests.unit.study.test_config import study_file

SECRET = "root:x:0:0:Jane Doe:/root"


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    root = tmp_path / "bids"
    make_dataset(root)
    write(root / "sub-02" / "pet" / "sub-02_pet.json", SIDECAR)
    write_image(root / "sub-02" / "pet" / "sub-02_pet.nii.gz", voxels())
    return root


def elsewhere(path: Path, *, content: bytes | None = None) -> Path:
    """Move a file or folder out of the data and leave a link in its place."""
    root = next(parent for parent in path.parents if parent.name == "bids")
    target = root.parent / "other disk" / path.name
    target.parent.mkdir()
    path.rename(target)
    path.symlink_to(target)
    if content is not None:
        target.write_bytes(content)
    return target


def blood_of(root: Path) -> Path:
    return next(root.glob("sub-01/**/*_blood.tsv"))


def scan_of(root: Path, links: tuple[str, ...] = ()) -> ScanFiles:
    return next(files for files in find_scans(str(root), links=links) if files.subject == "sub-01")


def refusal(root: Path) -> str:
    with pytest.raises(InputError) as caught, open_scan(scan_of(root)):
        pass
    return str(caught.value)


def test_a_blood_table_that_is_another_file_is_not_read(bids: Path) -> None:
    blood = blood_of(bids)
    target = elsewhere(blood, content=SECRET.encode())
    said = refusal(bids)
    assert str(blood) in said
    assert "link" in said
    assert "links: [" in said
    assert "Jane" not in said
    assert str(target.parent) not in said
    assert str(blood) not in scan_of(bids).inputs().values()


def test_so_is_a_chain_of_links(bids: Path) -> None:
    blood = blood_of(bids)
    target = elsewhere(blood)
    middle = blood.with_name("middle")
    middle.symlink_to(target)
    blood.unlink()
    blood.symlink_to(middle.name)
    assert str(blood) in refusal(bids)


@pytest.mark.parametrize("folder", ["sub-01", "sub-01/pet"])
def test_a_folder_is_named_once(bids: Path, folder: str) -> None:
    elsewhere(bids / folder)
    files = scan_of(bids)
    assert [fault.where for fault in files.faults] == [str(bids / folder)]
    assert len(find_scans(str(bids))) == 2


def test_the_other_scans_are_read(bids: Path) -> None:
    elsewhere(blood_of(bids))
    other = next(files for files in find_scans(str(bids)) if files.subject != "sub-01")
    assert not other.faults


def test_a_study_may_name_the_folder(bids: Path) -> None:
    elsewhere(blood_of(bids))
    study = study_file(bids.parent, data={"uri": "bids", "links": ["other disk"]})
    config = load_study(study)
    assert config.data.links == (str(bids.parent / "other disk"),)
    with open_scan(scan_of(bids, config.data.links)) as scan:
        assert scan.blood
    assert "links: " not in str(make_plan(config, open_study_store(config)).of_scan("sub-01")[0].reasons)


def test_links_inside_of_the_data_are_no_matter(bids: Path) -> None:
    blood = blood_of(bids)
    (bids / ".git" / "annex" / "objects").mkdir(parents=True)
    content = bids / ".git" / "annex" / "objects" / "MD5E-s100"
    blood.rename(content)
    blood.symlink_to(os.path.relpath(content, blood.parent))
    assert not scan_of(bids).faults


def test_nor_is_the_annex_of_a_repository_around_them(bids: Path) -> None:
    blood = blood_of(bids)
    annex = bids.parent / ".git" / "annex" / "objects"
    annex.mkdir(parents=True)
    blood.rename(annex / "MD5E-s100")
    blood.symlink_to(annex / "MD5E-s100")
    assert not scan_of(bids).faults


def test_a_false_annex_is_no_way_out(bids: Path) -> None:
    elsewhere(blood_of(bids))
    (bids / ".git" / "annex").mkdir(parents=True)
    (bids / ".git" / "annex" / "objects").symlink_to("/")
    assert scan_of(bids).faults


def test_the_data_may_be_a_link_themselves(bids: Path) -> None:
    (bids.parent / "data").symlink_to("bids")
    assert not scan_of(bids.parent / "data").faults


def test_a_curve_from_a_file_is_guarded_too(tmp_path: Path) -> None:
    curves = tmp_path / "curves"
    curves.mkdir()
    (tmp_path / "other").write_text(SECRET)
    (curves / "sub-01.tsv").symlink_to(tmp_path / "other")
    for path, data in (("{data}/{subject}.tsv", curves), ("curves/{subject}.tsv", tmp_path / "bids")):
        options = FromFileOptions(path=(path,), format="bloodstream").relative_to(str(tmp_path))
        chosen = options.of_scan(ScanPlace(str(data), "sub-01", "sub-01"))
        with pytest.raises(InputError, match="link"):
            files_of(chosen)
        assert "link" in " ".join(digests(chosen).values())
        allowed = options.of_scan(ScanPlace(str(data), "sub-01", "sub-01", links=(str(tmp_path),)))
        assert files_of(allowed) == (str(curves / "sub-01.tsv"),)
