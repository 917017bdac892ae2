"""The page "Your data" word by word: the files that it shows make a scan of which the checks find nothing."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml

from dlif_core.ingest import find_scans, open_scan
from dlif_core.study.checking import check_scans, study_to_check
from dlif_core.study.config import StudyConfig
from dlif_core.study.scans import included_scans

PAGE = Path(__file__).parents[3] / "docs" / "your-data.md"
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def blocks(language: str, section: str) -> list[str]:
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert text is not None
    return re.findall(rf"^```{language}\n(.*?)^```", text[1], re.DOTALL | re.MULTILINE)


def files() -> dict[str, str]:
    """Text files of the page by the end of their names."""
    (sidecar,) = blocks("json", "The sidecar")
    (participants,), (described,) = blocks("", "Participants")[:1], blocks("json", "Participants")
    (names,) = blocks("", "Regions")
    (blood,), (units,) = blocks("", "Blood"), blocks("json", "Blood")
    return {
        "participants.tsv": participants,
        "participants.json": described,
        "_pet.json": sidecar,
        "_dseg.tsv": names,
        "_blood.tsv": blood,
        "_blood.json": units,
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The tree of the page with its files, and an image of two tissues."""
    written, content = [], files()
    (tree,) = blocks("", "Folders")
    folders: list[str] = []
    for line in tree.splitlines()[1:]:
        depth, name = line.index("─ ") // 4, line.split("─ ")[1]
        folders = [*folders[:depth], name]
        if not name.endswith("/"):
            written.append(tmp_path / "bids" / "".join(folders))
    for path in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = next((text for end, text in content.items() if path.name.endswith(end)), None)
        if text is not None:
            path.write_text(text)
    sidecar = json.loads(content["_pet.json"])
    labels = np.zeros((10, 10, 10), np.int16)
    labels[2:5, 2:8, 2:8], labels[5:8, 2:8, 2:8] = 1, 2
    middle = np.add(sidecar["FrameTimesStart"], np.array(sidecar["FrameDuration"]) / 2)
    uptake = 1e4 * (1 - np.exp(-middle / 600)) + 500
    image = np.where(labels == 1, 1.0, np.where(labels == 2, 0.4, 0.01))[..., None] * uptake
    for values, end in ((image.astype(np.float32), "_pet.nii.gz"), (labels, "_dseg.nii.gz")):
        nifti = nibabel.Nifti1Image(values, AFFINE)
        nifti.header.set_xyzt_units("mm", "sec")
        nibabel.save(nifti, next(path for path in written if path.name.endswith(end)))
    assert all(path.is_file() for path in written)
    return tmp_path / "bids"


def test_the_files_of_the_page_are_a_scan_without_findings(root: Path) -> None:
    config = study_to_check(root)
    with ThreadPoolExecutor(1) as executor:
        (checked,) = check_scans(config, included_scans(config).values(), executor)
    assert [str(finding) for finding in checked.findings] == []


def test_they_are_read_as_the_page_says(root: Path) -> None:
    (found,) = find_scans(str(root))
    with open_scan(found) as opened:
        scan, (blood,) = opened.scan, opened.blood
        assert scan.regions.names == ("cortex", "white-matter")
        assert (scan.acquisition.injected_activity, scan.acquisition.body_weight) == (200e6, 70.0)
        assert scan.acquisition.species == "human"
        assert scan.timing.end[-1] == 3600.0
        assert blood.arterial
        assert blood.whole_blood is not None
        assert blood.whole_blood.max() == 62000.0


def test_the_settings_of_the_page_are_those_of_a_study() -> None:
    for text in (*blocks("yaml", "Regions"), *blocks("yaml", "Accept a doubt")):
        StudyConfig.model_validate({"name": "a", "data": "bids", "output": "out"} | yaml.safe_load(text))
