"""A release holds the numbers of the scans under new names, and nothing that leads back to anybody."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from dlif_core.catalog.build import CatalogPlace, build
from dlif_core.catalog.file import read_catalog
from dlif_core.catalog.release import CatalogRelease, release_at
from dlif_core.errors import ConfigurationError
from dlif_core.ingest import find_scans, open_scan
from dlif_core.store import open_store
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.input_functions import read_input_function
from dlif_core.study.source import read_scan
from tests.integration.cataloged import run_many, run_steps

pytestmark = pytest.mark.slow

NAME = "Clinic of Dr Doe"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    return run_many(tmp_path_factory.mktemp("release"), NAME, 10, seed=5)


@pytest.fixture(scope="module")
def catalog(study: StudyConfig) -> str:
    folder = Path(study.output).parent
    build([CatalogPlace(str(folder / "study.yaml"))], str(folder / "catalog.parquet"))
    return str(folder / "catalog.parquet")


@pytest.fixture(scope="module")
def release(catalog: str) -> CatalogRelease:
    folder = Path(catalog).parent
    made = CatalogRelease(folder / "release", folder / "key.json")
    assert made.write(catalog, "") == 11
    return made


@pytest.fixture(scope="module")
def names(release: CatalogRelease) -> dict[str, str]:
    """Old name of each scan by its new one."""
    scans = json.loads(release.key.read_text())["scans"]
    return {new: old.removeprefix(f"{NAME}:") for old, new in scans.items()}


def test_every_scan_is_read_with_its_numbers(
    study: StudyConfig, release: CatalogRelease, names: dict[str, str]
) -> None:
    """The reader of PET-BIDS, and the checks, find in the release what the store holds."""
    store, found = open_store(study.output), find_scans(str(release.folder))
    assert {files.scan_id for files in found} == set(names)
    for files in found:
        old, old_blood = read_scan(store, names[files.scan_id])
        with open_scan(files) as new:
            assert new.scan.acquisition == old.acquisition
            np.testing.assert_array_equal(new.scan.timing.start, old.timing.start)
            assert new.scan.regions.names == old.regions.names
            np.testing.assert_array_equal(new.scan.regions.activity, old.regions.activity)
            assert not [one for one in new.findings if one.withholds]
            assert len(new.blood) == len(old_blood)
            for one, before in zip(new.blood, old_blood, strict=True):
                assert (one.name, one.arterial) == ("manual", True)
                for column in ("time", "whole_blood", "plasma", "parent_fraction"):
                    first, second = getattr(one, column), getattr(before, column)
                    assert (first is None) == (second is None)
                    if first is not None:
                        np.testing.assert_array_equal(first, second)


def test_input_functions_are_those_of_the_store(
    study: StudyConfig, release: CatalogRelease, names: dict[str, str]
) -> None:
    store = open_store(study.output)
    files = sorted(release.folder.rglob("*_inputfunction.tsv"))
    with_curve = [row["scan"] for row in read_catalog_rows(study) if row["input_functions"]]
    assert sorted(names[path.name.split("_desc-")[0]] for path in files) == sorted(with_curve)
    for path in files:
        curve = read_input_function(store, names[path.name.split("_desc-")[0]], "arterial")
        table = pd.read_csv(path, sep="\t")
        np.testing.assert_allclose(table["AIF"], curve.plasma, rtol=1e-15)
        np.testing.assert_allclose(table["whole_blood_radioactivity"], curve.whole_blood, rtol=1e-15)
        assert json.loads(path.with_suffix(".json").read_text())["Method"] == "arterial"


def read_catalog_rows(study: StudyConfig) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = read_catalog(str(Path(study.output).parent / "catalog.parquet")).to_pylist()
    return rows


def test_nothing_leads_back(study: StudyConfig, release: CatalogRelease, names: dict[str, str]) -> None:
    """No old name, path, clock time, free text or digest of a file is in any name or any file of the release."""
    markers = [json.loads(path.read_text()) for path in Path(study.output).rglob("source/commit.json")]
    digests = {part for marker in markers for part in marker["parts"].values() if len(part) == 64}
    digests |= {marker["fingerprint"] for marker in markers}
    secrets = [NAME, "Doe", "10:00:00", "sub-a0", "a0001", str(Path(study.output).parent), "commit", *digests]
    for path in release.folder.rglob("*"):
        text = path.relative_to(release.folder).as_posix()
        if path.is_file():
            text += path.read_text()
        assert [secret for secret in secrets if secret in text] == [], path
        assert not path.name.startswith(".")


def test_the_scans_of_an_animal_stay_together(names: dict[str, str]) -> None:
    twice = [new for new, old in names.items() if old.startswith("sub-a0009")]
    assert len({name.partition("_")[0] for name in twice}) == 1
    assert {name.partition("_")[2] for name in twice} == {"ses-01", "ses-02"}
    assert len({name.partition("_")[0] for name in names}) == 10


def test_the_card_counts_what_is_there(study: StudyConfig, release: CatalogRelease) -> None:
    card = json.loads((release.folder / "card.json").read_text())
    assert (card["scans"], card["animals"], card["licence"]) == (11, 10, "not given")
    assert card["species"] == {"rat": 6, "mouse": 5}  # the animal that was scanned twice is a rat
    sidecars = [json.loads(path.read_text()) for path in Path(study.data.uri).rglob("*_pet.json")]
    for tracer, count in card["tracers"].items():
        assert count == sum(fields["TracerName"] == tracer for fields in sidecars)
    tables = [pd.read_csv(path, sep="\t") for path in Path(study.data.uri).rglob("*_blood.tsv")]
    assert card["blood"] == {
        "with arterial samples": len(tables),
        "with plasma": sum("plasma_radioactivity" in table for table in tables),
        "with parent fractions": sum("metabolite_parent_fraction" in table for table in tables),
        "arterial samples": sum(map(len, tables)),
    }
    page = (release.folder / "README.md").read_text()
    assert "Licence: not given" in page
    assert "| raclopride |" in page


def test_every_file_has_its_digest(release: CatalogRelease) -> None:
    lines = (release.folder / "SHA256SUMS").read_text().splitlines()
    listed = {line.split("  ")[1]: line.split("  ")[0] for line in lines}
    files = {path.relative_to(release.folder).as_posix(): path for path in release.folder.rglob("*") if path.is_file()}
    assert set(listed) == set(files) - {"SHA256SUMS"}
    assert all(hashlib.sha256(files[name].read_bytes()).hexdigest() == digest for name, digest in listed.items())


def test_a_later_release_keeps_the_names(release: CatalogRelease, catalog: str, tmp_path: Path) -> None:
    before = json.loads(release.key.read_text())
    again = CatalogRelease(tmp_path / "again", release.key)
    assert again.write(catalog, "species == 'mouse'") == 5
    assert json.loads(release.key.read_text()) == before
    assert {path.name for path in again.folder.glob("sub-*")} < {path.name for path in release.folder.glob("sub-*")}
    assert stat.S_IMODE(release.key.stat().st_mode) == 0o600


@pytest.mark.realdata
def test_measured_scans_are_read_with_their_numbers(real_data: Path, tmp_path: Path) -> None:
    """People with arterial blood, metabolites, and volumes of a hundred regions."""
    study = {"name": "mc1", "data": str(real_data / "ds004869_mc1"), "output": "out", "kinetics": []}
    study |= {"input_functions": {"arterial": {}}, "scans": ["sub-0*"]}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    config = load_study(tmp_path / "study.yaml")
    run_steps(config)
    catalog = str(tmp_path / "catalog.parquet")
    assert build([CatalogPlace(str(tmp_path / "study.yaml"))], catalog) == {"success": 6}
    participants = pd.read_csv(real_data / "ds004869_mc1" / "participants.tsv", sep="\t").set_index("participant_id")
    for row in read_catalog(catalog).to_pylist():
        pet = real_data.joinpath("ds004869_mc1", row["subject"], row["session"], "pet")
        fields = json.loads((pet / f"{row['scan']}_pet.json").read_text())
        blood = pd.read_csv(pet / f"{row['scan']}_recording-manual_blood.tsv", sep="\t", na_values="n/a")
        assert row["body_weight"] == participants.loc[row["subject"], "weight"]
        unit = {"kBq": 1e3, "MBq": 1e6}[fields["InjectedRadioactivityUnits"]]
        assert row["injected_activity"] == pytest.approx(unit * fields["InjectedRadioactivity"])
        assert row["frames"] == len(fields["FrameTimesStart"])
        measured = blood.dropna(subset=["plasma_radioactivity", "whole_blood_radioactivity"], how="all")
        assert row["arterial_samples"] == len(measured)
        assert (row["blood_start"], row["blood_end"]) == (measured["time"].min(), measured["time"].max())
        assert row["has_parent_fraction"]
    release = release_at(str(tmp_path / "release"), str(tmp_path / "key.json"))
    release.write(catalog, "")
    old_names = {new: old for old, new in json.loads(release.key.read_text())["scans"].items()}
    for files in find_scans(str(release.folder)):
        old, _ = read_scan(open_store(config.output), old_names[files.scan_id].removeprefix("mc1:"))
        with open_scan(files) as new:
            np.testing.assert_array_equal(new.scan.regions.activity, old.regions.activity)
            np.testing.assert_array_equal(new.scan.regions.volume, old.regions.volume)
            assert new.scan.acquisition.injected_activity == pytest.approx(old.acquisition.injected_activity, 1e-14)


def test_another_key_gives_other_names(release: CatalogRelease, catalog: str, tmp_path: Path) -> None:
    other = CatalogRelease(tmp_path / "other", tmp_path / "key.json")
    other.write(catalog, "")
    assert not {path.name for path in other.folder.glob("sub-*")} & {path.name for path in release.folder.glob("sub-*")}


@pytest.mark.parametrize("key", ["release/key.json", "release/inner/../key.json", "release"])
def test_the_key_may_not_lie_in_the_release(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigurationError, match="lie in the release"):
        CatalogRelease(tmp_path / "release", tmp_path / key)


def test_a_key_that_is_none_is_refused(catalog: str, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text('{"animals": [1]}')
    with pytest.raises(ConfigurationError, match="no key of a release"):
        CatalogRelease(tmp_path / "new", tmp_path / "key.json").write(catalog, "")
    assert [path.name for path in tmp_path.iterdir()] == ["key.json"]


def test_no_folder_is_written_over(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there already"):
        CatalogRelease(tmp_path, tmp_path.parent / "key.json")


def test_a_scan_in_two_stores_is_told(study: StudyConfig, tmp_path: Path) -> None:
    other = study.model_copy(update={"output": str(tmp_path / "out")})
    run_steps(other)
    (tmp_path / "study.yaml").write_text(
        yaml.safe_dump({"name": NAME, "data": study.data.uri, "output": "out", "kinetics": []})
    )
    places = [CatalogPlace(str(Path(place) / "study.yaml")) for place in (Path(study.output).parent, tmp_path)]
    catalog = str(tmp_path / "catalog.parquet")
    build(places, catalog)
    with pytest.raises(ConfigurationError, match="is in two stores"):
        CatalogRelease(tmp_path / "new", tmp_path / "key.json").write(catalog, "")
    made = CatalogRelease(tmp_path / "new", tmp_path / "key.json")
    assert made.write(catalog, f"store == '{study.output}'") == 11


def test_no_scan_is_told(catalog: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no scan to release"):
        CatalogRelease(tmp_path / "new", tmp_path / "key.json").write(catalog, "species == 'dog'")
    assert list(tmp_path.iterdir()) == []


def test_a_scan_that_was_made_again_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    config = run_many(tmp_path, "changed", 2)
    catalog = str(tmp_path / "catalog.parquet")
    build([CatalogPlace(f"{tmp_path}/study.yaml")], catalog)
    sidecar = Path(config.data.uri) / "sub-a0001" / "pet" / "sub-a0001_pet.json"
    sidecar.write_text(sidecar.read_text().replace("5.01", "5.02"))
    run_steps(config)
    with pytest.raises(ConfigurationError, match="sub-a0001 was made again"):
        CatalogRelease(tmp_path / "new", tmp_path / "key.json").write(catalog, "")
    assert {path.name for path in tmp_path.iterdir()} == {"bids", "study.yaml", "out", "catalog.parquet"}
