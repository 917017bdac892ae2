"""The RO-Crate is read back by the library `rocrate`, and its digests are those of the files."""

import hashlib
import json
from pathlib import Path

import pytest

from dlif_core.export.bids import BIDS
from dlif_core.export.ro_crate import METADATA, RO_CRATE
from tests.unit.export.products import exported_study


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    BIDS.export(exported_study(), folder)
    RO_CRATE.export(exported_study(), folder)
    return folder


def test_the_library_finds_every_file(root: Path) -> None:
    from rocrate.rocrate import ROCrate

    crate = ROCrate(root)
    named = {entity.id for entity in crate.get_entities() if entity.type == "File"}
    there = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert named == there - {METADATA}
    assert crate.name == "Results of dlif for the study mice"


def test_digests_and_sizes_are_those_of_the_files(root: Path) -> None:
    graph = json.loads((root / METADATA).read_text())["@graph"]
    files = [entity for entity in graph if entity["@type"] == "File"]
    assert files
    for entity in files:
        content = (root / entity["@id"]).read_bytes()
        assert entity["sha256"] == hashlib.sha256(content).hexdigest()
        assert int(entity["contentSize"]) == len(content)


def test_program_inputs_and_what_is_not_stated(root: Path) -> None:
    graph = {entity["@id"]: entity for entity in json.loads((root / METADATA).read_text())["@graph"]}
    assert graph["#dlif"]["softwareVersion"] == "0.1.0"
    assert graph["#input/sub-m01/pet/sub-m01_pet.nii.gz"]["sha256"] == "12" * 32
    assert graph["#analysis"]["instrument"] == {"@id": "#dlif"}
    assert {"@id": "#input/sub-m01/pet/sub-m01_pet.nii.gz"} in graph["#analysis"]["object"]
    assert "No licence is stated" in graph["./"]["license"]
    assert "author" not in graph["./"]
