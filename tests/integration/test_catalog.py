"""A catalog of real stores says what the files of the scans say, and follows what becomes of them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dlif_core.catalog.build import CatalogPlace, build
from dlif_core.catalog.file import read_catalog
from dlif_core.errors import ConfigurationError, StoreError
from dlif_core.phantom import write_cohort
from dlif_core.store import open_store
from dlif_core.study.config import StudyConfig
from flows.cli import main
from tests.integration.cataloged import ENDS, STARTS, WITHOUT_DOSE, run_many, run_steps

pytestmark = pytest.mark.slow

HALF_LIVES = {"FDG": 6586.2, "raclopride": 1223.4}
Rows = dict[str, dict[str, Any]]


def rows_of(folder: Path, *places: str) -> Rows:
    target = str(folder / "catalog.parquet")
    build([CatalogPlace.parsed(place) for place in places], target)
    return {f"{row['study']} {row['scan']}": row for row in read_catalog(target).to_pylist()}


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StudyConfig]:
    root = tmp_path_factory.mktemp("catalog")
    return {
        "oslo": run_many(root / "oslo", "rats and mice", 28, seed=1),
        "bergen": run_many(root / "bergen", "others", 19, seed=2),
    }


@pytest.fixture(scope="module")
def catalog(studies: dict[str, StudyConfig]) -> str:
    """The catalog of both studies; one is given a site, the other has that of its name."""
    folder = Path(studies["oslo"].output).parents[1]
    target = folder / "all.parquet"
    oslo, bergen = (Path(config.output).parent / "study.yaml" for config in studies.values())
    build([CatalogPlace.parsed(f"oslo={oslo}"), CatalogPlace.parsed(str(bergen))], str(target))
    return str(target)


@pytest.fixture(scope="module")
def rows(catalog: str) -> list[dict[str, Any]]:
    return read_catalog(catalog).to_pylist()


def data_of(studies: dict[str, StudyConfig], row: dict[str, Any]) -> Path:
    """Folder of a scan's own files."""
    config = next(one for one in studies.values() if one.name == row["study"])
    root = Path(config.data.uri)
    return root.joinpath(row["subject"], *filter(None, [row["session"]]), "pet")


def test_there_is_a_row_for_every_scan_on_disk(studies: dict[str, StudyConfig], rows: list[dict[str, Any]]) -> None:
    on_disk = {
        (config.name, path.name.removesuffix("_tacs.tsv"))
        for config in studies.values()
        for path in Path(config.data.uri).rglob("*_tacs.tsv")
    }
    assert {(row["study"], row["scan"]) for row in rows} == on_disk
    assert Counter(row["site"] for row in rows) == Counter(oslo=30, others=20)
    assert {row["store"] for row in rows} == {config.output for config in studies.values()}


def test_subjects_are_as_the_table_of_participants_says(
    studies: dict[str, StudyConfig], rows: list[dict[str, Any]]
) -> None:
    names = {"mus musculus": "mouse", "rattus norvegicus": "rat"}
    for config in studies.values():
        table = pd.read_csv(Path(config.data.uri) / "participants.tsv", sep="\t").set_index("participant_id")
        for row in rows:
            if row["study"] == config.name and row["status"] == "success":
                subject = table.loc[row["subject"]]
                assert row["species"] == names[subject["species"]]
                assert row["body_weight"] == pytest.approx(subject["weight"])
                assert row["animal"] == f"{config.name}:{row['subject']}"


def test_scans_are_as_their_sidecars_say(studies: dict[str, StudyConfig], rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["status"] != "success":
            continue
        fields = json.loads((data_of(studies, row) / f"{row['scan']}_pet.json").read_text())
        assert row["tracer"] == fields["TracerName"]
        assert row["half_life"] == pytest.approx(HALF_LIVES[row["tracer"]], rel=2e-3)
        assert (row["manufacturer"], row["scanner"]) == (fields["Manufacturer"], fields["ManufacturersModelName"])
        assert (row["reconstruction"], row["administration"]) == ("OSEM", "bolus")
        dose = fields.get("InjectedRadioactivity")
        assert row["injected_activity"] == (None if dose is None else pytest.approx(1e6 * dose))
        assert (row["frames"], row["first_frame"], row["scan_end"]) == (len(STARTS), STARTS[0], ENDS[-1])
        assert (row["image"], row["voxel_z"]) == (False, None)
        assert row["regions"] == ["brain", "liver"]


def test_blood_is_as_its_tables_say(studies: dict[str, StudyConfig], rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["status"] != "success":
            continue
        path = data_of(studies, row) / f"{row['scan']}_recording-manual_blood.tsv"
        assert row["recordings"] == (["manual"] if path.exists() else [])
        if not path.exists():
            assert (row["arterial_samples"], row["blood_peak"], row["has_plasma"]) == (0, None, False)
            continue
        table = pd.read_csv(path, sep="\t")
        assert row["arterial_samples"] == len(table)
        assert (row["blood_start"], row["blood_end"]) == (table["time"].min(), table["time"].max())
        assert row["blood_peak"] == pytest.approx(table["whole_blood_radioactivity"].max())
        assert row["has_plasma"] == ("plasma_radioactivity" in table)
        assert row["has_parent_fraction"] == ("metabolite_parent_fraction" in table)


def test_results_are_as_the_markers_say(studies: dict[str, StudyConfig], rows: list[dict[str, Any]]) -> None:
    for row in rows:
        place = Path(row["store"]) / "scans" / f"{row['scan']}.zarr"
        markers = {
            path.parent.relative_to(place).as_posix(): json.loads(path.read_text())
            for path in place.rglob("commit.json")
        }
        source = markers.pop("source")
        assert (row["status"], row["fingerprint"]) == (source["status"], source["fingerprint"])
        shown = {one["name"]: (one["status"], one["reason"], one["fingerprint"]) for one in row["products"]}
        assert shown == {name: (one["status"], one["reason"], one["fingerprint"]) for name, one in markers.items()}
        reaches_the_end = (row["blood_end"] or 0) > 3000  # else too much would be extrapolated
        assert row["input_functions"] == (["arterial"] if reaches_the_end else [])
        assert row["analyses"] == (["patlak"] if reaches_the_end else [])
        assert row["learned_model"] is None


def test_findings_are_counted_by_level(rows: list[dict[str, Any]]) -> None:
    """Assumed are the unit of parent fractions, which no sidecar states, and of one scan that it has no dose."""
    for row in rows:
        assert row["assumed"] == row["has_parent_fraction"] + (row["scan"] == WITHOUT_DOSE)
        assert (row["repaired"], row["doubtful"], row["refused"], row["withheld"]) == (0, 0, 0, [])


def test_a_scan_that_can_not_be_used_has_a_row_with_the_reason(tmp_path: Path) -> None:
    config = run_many(tmp_path, "one bad", 3)
    path = Path(config.data.uri) / "sub-a0001" / "pet" / "sub-a0001_pet.json"
    path.write_text(path.read_text().replace('"Units": "Bq/mL"', '"Units": "apples"'))
    run_steps(config)
    found = rows_of(tmp_path, f"{tmp_path}/study.yaml")["one bad sub-a0001"]
    assert found["status"] == "excluded"
    assert "Units" in found["reason"]
    assert (found["tracer"], found["frames"], found["input_functions"]) == (None, None, [])


@pytest.mark.parametrize("file", ["data.zarr.zip", "commit.json"])
def test_a_damaged_scan_has_a_row_that_says_so(tmp_path: Path, file: str) -> None:
    config = run_many(tmp_path, "damaged", 3)
    path = Path(config.output) / "scans" / "sub-a0001.zarr" / "source" / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = {row["scan"]: row for row in rows_of(tmp_path, f"{tmp_path}/study.yaml").values()}
    assert {scan: row["status"] for scan, row in found.items()} == {
        "sub-a0000": "success",
        "sub-a0001": "damaged",
        "sub-a0002": "success",
    }
    assert "sub-a0001.zarr/source" in found["sub-a0001"]["reason"]


def test_a_store_without_cohort_is_named_by_its_study_file(studies: dict[str, StudyConfig], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Give the study file") as fault:
        rows_of(tmp_path, studies["oslo"].output)
    assert fault.value.where == studies["oslo"].output


def test_a_store_named_twice_is_refused(studies: dict[str, StudyConfig], tmp_path: Path) -> None:
    study = str(Path(studies["oslo"].output).parent / "study.yaml")
    with pytest.raises(ConfigurationError, match="named twice"):
        rows_of(tmp_path, study, f"a={study}")


def test_a_folder_without_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no dlif store"):
        rows_of(tmp_path, str(tmp_path))


def test_images_and_learned_curves_have_their_columns(tmp_path: Path, run_study: Callable[..., StudyConfig]) -> None:
    """A mouse on its scanner's own voxels, within the scope of the shipped model, and one with large voxels."""
    write_cohort(tmp_path / "bids", 1, seed=4, voxel_size=1.0)
    methods = {"learned": {"explain": False, "samples": 2}}
    config = run_study(
        tmp_path, name="mice", data="bids", input_functions=methods, kinetics=[{"model": "patlak", "t_star": 15.0}]
    )
    (row,) = rows_of(tmp_path, f"lab={config.output}").values()  # the cohort names the study
    assert (row["site"], row["study"], row["image"]) == ("lab", "mice", True)
    assert (row["voxel_z"], row["voxel_y"], row["voxel_x"]) == pytest.approx((1.0, 1.0, 1.0))
    name = "scans/sub-m01.zarr/input_functions/learned"
    curve = open_store(config.output).open_dataset(name)
    made = json.loads(curve.attrs["provenance"])
    assert row["learned_model"] == made["model"]["name"]
    assert row["learned_digest"] == made["model"]["digest"]
    assert (row["scope"], row["scope_reasons"]) == (made["scope"]["state"], made["scope"]["reasons"])
    assert row["band"] == ("lower" in curve)
    assert row["maps"] == row["analyses"] == ["patlak"]


class TestCommand:
    @pytest.fixture
    def dlif(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
        def run(*arguments: str) -> str:
            monkeypatch.setattr(sys, "argv", ["dlif", "catalog", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            assert not ended.value.code, capsys.readouterr().err
            return capsys.readouterr().out

        return run

    def test_builds_and_queries(
        self, dlif: Callable[..., str], studies: dict[str, StudyConfig], tmp_path: Path, rows: list[dict[str, Any]]
    ) -> None:
        target = str(tmp_path / "catalog.parquet")
        study = str(Path(studies["bergen"].output).parent / "study.yaml")
        assert dlif("build", study, "--to", target) == f"20 scans (20 success): {target}\n"
        condition = "has_plasma and body_weight < 0.2"
        found = json.loads(dlif("query", target, condition, "--columns", "scan,body_weight", "--json"))
        of_bergen = [row for row in rows if row["site"] == "others" and row["has_plasma"] and row["body_weight"] < 0.2]
        assert found == [{"scan": row["scan"], "body_weight": row["body_weight"]} for row in of_bergen]
        assert "sub-a0000" in dlif("query", target)

    def test_shows_how_many_there_are(self, dlif: Callable[..., str], catalog: str, rows: list[dict[str, Any]]) -> None:
        shown = {row["site"]: row for row in json.loads(dlif("show", catalog, "--json"))}
        oslo = [row for row in rows if row["site"] == "oslo"]
        assert shown["oslo"]["scans"] == len(oslo)
        assert shown["oslo"]["blood"] == sum(bool(row["arterial_samples"]) for row in oslo)
        assert shown["oslo"]["species"] == ["mouse", "rat"]
        assert "oslo" in dlif("show", catalog)

    def test_divides_the_animals(
        self, dlif: Callable[..., str], catalog: str, tmp_path: Path, rows: list[dict[str, Any]]
    ) -> None:
        target = tmp_path / "splits.json"
        dlif("split", catalog, "--to", str(target), "--hold-out", "others", "--shares", "training=0.5,test=0.5")
        splits = json.loads(target.read_text())
        assert set(splits["held-out sites"]) == {row["animal"] for row in rows if row["site"] == "others"}
        animals = [animal for group in splits.values() for animal in group]
        assert sorted(animals) == sorted({row["animal"] for row in rows if row["status"] == "success"})


@pytest.mark.ci
def test_a_thousand_scans(tmp_path: Path) -> None:
    """All rows of a large store, against the files of all of its scans."""
    config = run_many(tmp_path, "large", 910)
    rows = rows_of(tmp_path, f"{tmp_path}/study.yaml")
    assert len(rows) == 1001  # 91 animals were scanned twice
    weights = pd.read_csv(Path(config.data.uri) / "participants.tsv", sep="\t").set_index("participant_id")["weight"]
    found = [row["body_weight"] / weights[row["subject"]] for row in rows.values() if row["status"] == "success"]
    assert np.allclose(found, 1.0)
    samples = {path.name: len(pd.read_csv(path, sep="\t")) for path in Path(config.data.uri).rglob("*_blood.tsv")}
    assert {row["scan"]: row["arterial_samples"] for row in rows.values() if row["arterial_samples"]} == {
        name.removesuffix("_recording-manual_blood.tsv"): count for name, count in samples.items()
    }
