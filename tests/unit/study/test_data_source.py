"""The key ``data`` of a study file: a path, or a section with the format and options of its reader."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlif_core.errors import ConfigurationError
from dlif_core.ingest import READERS
from dlif_core.study.config import StudyConfig, load_study
from tests.contract.toy_reader import ToyOptions, ToyReader
from tests.unit.study.test_config import study_file


@pytest.fixture(autouse=True)
def toy() -> Iterator[None]:
    READERS.register(ToyReader())
    yield
    READERS.unregister(ToyReader.name)


def test_a_path_alone_is_the_uri(tmp_path: Path) -> None:
    assert load_study(study_file(tmp_path, data="bids")) == load_study(study_file(tmp_path, data={"uri": "bids"}))


@pytest.mark.parametrize("uri", ["s3://bucket/bids", "/somewhere/bids"])
def test_urls_and_absolute_paths_stay(tmp_path: Path, uri: str) -> None:
    assert load_study(study_file(tmp_path, data={"uri": uri, "format": "pet-bids"})).data.uri == uri


def test_options_of_the_reader_are_keys_of_their_own(tmp_path: Path) -> None:
    config = load_study(study_file(tmp_path, data={"uri": "mice", "format": "toy", "scale": 2}))
    assert config.data.uri == str(tmp_path / "mice")
    assert config.data.options == ToyOptions(scale=2.0)


@pytest.mark.parametrize("data", ["mice", {"uri": "mice", "format": "toy", "scale": 2.0}])
def test_a_study_travels_between_processes_and_through_json(tmp_path: Path, data: object) -> None:
    config = load_study(study_file(tmp_path, data=data))
    assert pickle.loads(pickle.dumps(config)) == config
    assert StudyConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"uri": "bids", "format": "petbids"}, "data: there is no data format 'petbids'. Did you mean 'pet-bids'?"),
        (
            {"uri": "bids", "format": "pet-bids", "scale": 2},
            "data.scale: unknown key 'scale'. Valid are: uri, format, links, motion_correction, labels, label_names, "
            "resample_labels.",
        ),
        ({"uri": "mice", "format": "toy", "scal": 2}, "data.scal: unknown key 'scal'. Did you mean 'scale'?"),
        ({"uri": "mice", "format": "toy", "scale": "much"}, "data.scale: Input should be a valid number"),
        ({"uri": "mice", "scale": 2}, "'scale': options need a `format`"),
        ({"format": "toy"}, "data.uri: it is needed"),
        ({}, "data.uri: it is needed"),
        (5, "data: give a path, a URL, or a section with `uri`."),
    ],
)
def test_faults_are_named(tmp_path: Path, data: object, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_study(study_file(tmp_path, data=data))
    assert expected in str(caught.value)


@pytest.mark.parametrize("address", ["foo://x/study.yaml", "ftp://nohost.invalid/study.yaml"])
def test_a_study_file_at_an_address_that_leads_nowhere_is_told_in_a_line(address: str) -> None:
    with pytest.raises(ConfigurationError, match="can't be opened"):
        load_study(address)
