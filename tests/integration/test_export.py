"""`dlif export` of a small simulated study: what is up to date is written, the store stays as it is, codes tell."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from dlif_core.errors import ExitCode
from dlif_core.export import EXPORTERS
from dlif_core.phantom import write_cohort
from dlif_core.store import open_store
from dlif_core.store.catalog import build_catalog
from dlif_core.study.config import StudyConfig
from dlif_core.study.plan import make_plan
from flows.cli import app

pytestmark = pytest.mark.slow

STUDY: dict[str, object] = {
    "data": "bids",
    "input_functions": {"arterial": {}, "population": {}},
    "kinetics": [{"model": "patlak", "t_star": 15.0}, {"model": "2tcm-irreversible", "maps": False}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, run_study: Callable[..., StudyConfig]) -> Path:
    root = tmp_path_factory.mktemp("study")
    write_cohort(root / "bids", 1, seed=11, voxel_size=2.0)
    run_study(root, **STUDY)
    return root


def export(folder: Path, *arguments: str, code: ExitCode = ExitCode.SUCCESS) -> Result:
    result = CliRunner().invoke(app, ["export", str(folder / "study.yaml"), *arguments], env={"COLUMNS": "200"})
    found = getattr(result.exception, "exit_code", result.exit_code)
    assert found == code, result.output
    return result


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_default_formats_hold_what_the_store_holds_and_the_store_stays(folder: Path, tmp_path: Path) -> None:
    before = content(folder / "out" / "scans")
    result = export(folder, "--to", str(tmp_path / "export"))
    assert content(folder / "out" / "scans") == before
    assert "sub-m01" in result.output
    assert {path.name for path in (tmp_path / "export").iterdir()} == {"bids", "tables", "dlif-export.json"}

    store = open_store(str(folder / "out"))
    maps = store.open_dataset("scans/sub-m01.zarr/kinetics/patlak/maps")
    image = nib.load(tmp_path / "export/bids/sub-m01/pet/sub-m01_model-Patlak_meas-Ki_mimap.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, maps["Ki"])
    raw = nib.load(folder / "bids/sub-m01/pet/sub-m01_pet.nii.gz")
    np.testing.assert_allclose(image.affine, raw.affine)
    rows = pd.read_parquet(tmp_path / "export/tables/kinetic_parameters.parquet")
    own = pd.read_csv(folder / "out/cohort/region_parameters.tsv", sep="\t", na_values="n/a")
    keys = ["fit", "region", "parameter"]
    joined = rows.rename(columns={"analysis": "fit"}).merge(own, on=keys, suffixes=("", "_own"), validate="1:1")
    assert len(joined) == len(own)
    np.testing.assert_allclose(joined["value"], joined["value_own"], rtol=1e-12)
    np.testing.assert_allclose(joined["standard_error"], joined["standard_error_own"], rtol=1e-12)


def test_every_format_is_written_and_the_crate_names_all_files(folder: Path, tmp_path: Path) -> None:
    arguments = [part for name in EXPORTERS for part in ("--format", name)]
    result = export(folder, "--to", str(tmp_path / "export"), *arguments)
    assert all(f"{name} (" in result.output for name in EXPORTERS)
    crate = json.loads((tmp_path / "export/ro-crate-metadata.json").read_text())["@graph"]
    named = {entity["@id"] for entity in crate if entity["@type"] == "File"}
    there = {path.relative_to(tmp_path / "export").as_posix() for path in content_paths(tmp_path / "export")}
    assert there - named == {"ro-crate-metadata.json", "dlif-export.json"}
    mentioned = [path for path in content_paths(tmp_path / "export") if str(folder).encode() in path.read_bytes()]
    assert mentioned == []


def content_paths(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_formats_of_the_help_are_those_of_the_registry() -> None:
    shown = CliRunner().invoke(app, ["export", "--help"], env={"COLUMNS": "300", "TERM": "dumb"}).output
    assert f"{', '.join(list(EXPORTERS)[:-1])} or {list(EXPORTERS)[-1]}" in shown


def test_results_of_older_settings_stay_out_and_are_named(folder: Path, tmp_path: Path) -> None:
    study = folder / "study.yaml"
    before = study.read_text()
    study.write_text(before.replace("t_star: 15.0", "t_star: 20.0"))
    try:
        result = export(folder, "--to", str(tmp_path / "export"), code=ExitCode.PARTIAL)
    finally:
        study.write_text(before)
    assert "maps patlak" in result.output
    assert list((tmp_path / "export").rglob("*Patlak*")) == []
    assert list((tmp_path / "export").rglob("*2TCM3k_kinpar.tsv"))


def test_a_study_that_never_ran_has_nothing_to_export(folder: Path, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text((folder / "study.yaml").read_text().replace("data: bids", f"data: {folder / 'bids'}"))
    result = export(tmp_path, "--to", str(tmp_path / "export"), code=ExitCode.NOTHING_SUCCEEDED)
    assert "ingest" in result.output
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--format", "nifty"), "no export format 'nifty'"),
        (("--scan", "sub-m11"), "no scan 'sub-m11'. Did you mean 'sub-m01'?"),
        (("--to", "{folder}/out/export"), "would lie inside the study's store"),
    ],
)
def test_what_can_not_be_exported_is_a_usage_error(folder: Path, arguments: tuple[str, ...], expected: str) -> None:
    filled = [argument.format(folder=folder) for argument in arguments]
    result = export(folder, *filled, code=ExitCode.CONFIGURATION)
    assert expected in str(result.exception)


def test_a_damaged_product_fails_the_export_and_leaves_the_earlier_one(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "study")
    root = tmp_path / "study"
    target = tmp_path / "export"
    export(root, "--to", str(target), "--format", "pmod")
    before = content(target)
    (shard,) = [
        path for path in (root / "out/scans/sub-m01.zarr/kinetics/patlak/maps/Ki/c").rglob("*") if path.is_file()
    ]
    shard.unlink()
    export(root, "--to", str(target), "--format", "bids", code=ExitCode.STORE)
    assert content(target) == before


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, run_study: Callable[..., StudyConfig]) -> StudyConfig:
    """A study that was run, then asked for exports and run again."""
    root = tmp_path_factory.mktemp("stage")
    write_cohort(root / "bids", 1, seed=11, voxel_size=2.0)
    run_study(root, **STUDY)
    return run_study(root, **STUDY, export=["bids", "dicom"])


class TestStage:
    """`export` in a study file: the files are a product of every scan."""

    def test_the_files_lie_in_the_store_as_they_were_committed(self, study: StudyConfig) -> None:
        store = open_store(study.output)
        names = [name for name in store.products("exports") if store.marker(name).status == "success"]
        assert names == ["exports/sub-m01/bids", "exports/sub-m01/dicom"]
        for name in names:
            store.verify(name)
        image = nib.load(f"{study.output}/exports/sub-m01/bids/sub-m01/pet/sub-m01_model-Patlak_meas-Ki_mimap.nii.gz")
        maps = store.open_dataset("scans/sub-m01.zarr/kinetics/patlak/maps")
        np.testing.assert_array_equal(np.asarray(image.dataobj).T, maps["Ki"])
        assert "export/dicom" in set(build_catalog(store)["product"])

    def test_a_new_format_makes_nothing_else_stale_and_a_second_run_does_nothing(self, study: StudyConfig) -> None:
        store = open_store(study.output)
        assert make_plan(study, store).to_run == ()
        before = StudyConfig.model_validate(study.model_dump() | {"export": []})
        assert make_plan(before, store).to_run == ()

    def test_a_changed_setting_makes_the_exports_of_its_results_stale(self, study: StudyConfig) -> None:
        later = [{"model": "patlak", "t_star": 20.0}, {"model": "2tcm-irreversible", "maps": False}]
        changed = StudyConfig.model_validate(study.model_dump() | {"kinetics": later})
        stale = {step.title for step in make_plan(changed, open_store(study.output)).to_run}
        assert {"sub-m01 export bids", "sub-m01 export dicom", "sub-m01 maps patlak"} <= stale

    def test_what_describes_a_whole_export_is_none_of_a_scan(self, study: StudyConfig) -> None:
        with pytest.raises(ValueError, match="describes a whole export"):
            StudyConfig.model_validate(study.model_dump() | {"export": ["ro-crate"]})
