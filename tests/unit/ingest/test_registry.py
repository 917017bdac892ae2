"""Picking the reader: by its name, or by what lies at the URI."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dlif_core.errors import ConfigurationError, MissingInputError
from dlif_core.ingest import READERS, ReaderOptions, deciding_facts, find_scans, looked_for
from tests.contract.toy_reader import ToyOptions, ToyReader
from tests.unit.ingest.bids.dataset import make_dataset, write


@pytest.fixture
def toy() -> Iterator[ToyReader]:
    yield READERS.register(ToyReader())
    READERS.unregister(ToyReader.name)


def test_data_that_no_reader_recognises_hold_no_scan(tmp_path: Path, toy: ToyReader) -> None:
    write(tmp_path / "notes.txt", "nothing")
    assert find_scans(str(tmp_path)) == []
    told = looked_for()
    assert told.startswith("PET-BIDS scan (sub-*/[ses-*/]pet/*_pet.json) or ")
    assert told.endswith(" or toy scan (*.npz)")
    assert looked_for("toy") == "toy scan (*.npz)"


def test_a_named_format_is_taken_without_a_look(tmp_path: Path, toy: ToyReader) -> None:
    make_dataset(tmp_path)
    assert find_scans(str(tmp_path), format="toy") == []
    assert [files.reader for files in find_scans(str(tmp_path), format="pet-bids")] == ["pet-bids"]


def test_two_formats_in_one_folder_ask_for_a_choice(tmp_path: Path, toy: ToyReader) -> None:
    make_dataset(tmp_path)
    write(tmp_path / "mouse.npz", "")
    with pytest.raises(ConfigurationError, match=r"PET-BIDS and toy.*Choose one with `format`: pet-bids, toy"):
        find_scans(str(tmp_path))


def test_a_path_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such folder or file"):
        find_scans(str(tmp_path / "nowhere"))


def test_an_unknown_format_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'pet-bids'"):
        find_scans(str(tmp_path), format="petbids")


def test_options_of_a_reader_that_has_no_default_must_be_given(
    tmp_path: Path, toy: ToyReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Needed(ReaderOptions):
        channel: int

    monkeypatch.setattr(ToyReader, "options", Needed)
    write(tmp_path / "mouse.npz", "")
    with pytest.raises(ConfigurationError, match=r"channel: it is needed\. .* beside format: toy"):
        find_scans(str(tmp_path))
    (files,) = find_scans(str(tmp_path), options=Needed(channel=2))
    assert files.options == Needed(channel=2)


def test_pet_bids_scans_are_decided_by_their_files_alone(tmp_path: Path) -> None:
    """Products made before readers had names stay current."""
    make_dataset(tmp_path)
    (files,) = find_scans(str(tmp_path))
    assert deciding_facts(files) == {}


def test_another_reader_and_its_options_decide_too(tmp_path: Path, toy: ToyReader) -> None:
    write(tmp_path / "mouse.npz", "")
    (files,) = find_scans(str(tmp_path))
    assert deciding_facts(files) == {"reader": "toy 3"}
    assert deciding_facts(replace(files, options=ToyOptions(scale=2.0))) == {"reader": "toy 3", "data.scale": "2.0"}
