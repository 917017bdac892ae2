"""The BIDS derivative is read back by nibabel, SimpleITK, pandas, the BIDS schema and dlif's own readers."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from dlif_core.errors import ConfigurationError
from dlif_core.export.bids import BIDS
from dlif_core.export.bids_names import label, model_label
from dlif_core.kinetics import MODELS
from tests.unit.export.products import HOT, affine, curve, exported_scan, exported_study, labels, maps, regions

KI = "sub-m01/pet/sub-m01_model-Patlak_meas-Ki"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    BIDS.export(exported_study(), folder)
    return folder / "bids"


def sidecar(root: Path, name: str) -> dict[str, object]:
    return json.loads((root / f"{name}.json").read_text())


class TestMaps:
    def test_nibabel_finds_values_and_place(self, root: Path) -> None:
        image = nib.load(root / f"{KI}_mimap.nii.gz")
        np.testing.assert_allclose(image.affine, affine(), atol=1e-5)
        np.testing.assert_allclose(image.header.get_qform(), affine(), atol=1e-4)
        assert image.header.get_xyzt_units()[0] == "mm"
        np.testing.assert_array_equal(image.get_fdata(dtype=np.float32).transpose(2, 1, 0), maps()["Ki"].to_numpy())

    def test_itk_finds_the_hot_voxel_where_the_affine_puts_it(self, root: Path) -> None:
        sitk = pytest.importorskip("SimpleITK")
        image = sitk.ReadImage(str(root / f"{KI}_mimap.nii.gz"))
        values = sitk.GetArrayFromImage(image)
        hot = np.unravel_index(np.nanargmax(values), values.shape)
        assert hot == HOT
        right, front, up = (affine() @ [*HOT[::-1], 1])[:3]
        left_posterior_up = image.TransformIndexToPhysicalPoint([int(index) for index in hot[::-1]])
        np.testing.assert_allclose(left_posterior_up, [-right, -front, up], atol=1e-4)

    def test_errors_and_status_are_maps_of_their_own(self, root: Path) -> None:
        errors = nib.load(root / f"{KI}_desc-se_mimap.nii.gz").get_fdata()
        np.testing.assert_allclose(errors.transpose(2, 1, 0)[HOT], 0.009, rtol=1e-6)
        status = nib.load(root / "sub-m01/pet/sub-m01_model-Patlak_meas-status_mimap.nii.gz")
        assert status.get_data_dtype() == np.uint8
        about = sidecar(root, "sub-m01/pet/sub-m01_model-Patlak_meas-status_mimap")
        assert about["Levels"][str(np.asarray(status.dataobj)[0, 0, 0])] == "masked"

    def test_the_sidecar_says_what_the_numbers_are_and_how_they_were_made(self, root: Path) -> None:
        about = sidecar(root, f"{KI}_mimap")
        assert about["Units"] == "mL cm-3 min-1"
        assert about["Convention"] == "C_PET = (1 − vB)·C_T + vB·C_WB"
        assert about["BloodVolume"] == "vB is taken as 0"
        assert (about["Model"], about["InputFunction"]) == ("patlak", "learned")
        assert about["NetworkWeightsDigest"] == "cd" * 32
        assert about["Settings"]["t_star"] == 15.0
        assert about["SoftwareVersion"] == "0.1.0"
        assert about["InputDigests"] == {"sub-m01/pet/sub-m01_pet.nii.gz": "12" * 32}


class TestTables:
    def test_wide_and_long_hold_the_same_parameters(self, root: Path) -> None:
        wide = pd.read_csv(root / "sub-m01/pet/sub-m01_model-Patlak_kinpar.tsv", sep="\t", na_values="n/a")
        long = pd.read_csv(root / "sub-m01/pet/sub-m01_model-Patlak_desc-long_kinpar.tsv", sep="\t", na_values="n/a")
        names = ["region", "Ki", "Ki-se", "Ki-lower", "Ki-upper", "VB", "VB-se", "status"]
        assert wide.columns.tolist() == names
        np.testing.assert_array_equal(wide["Ki"], regions()["Ki"])
        assert wide["status"].tolist() == ["converged", "at_bound"]
        rows = long.set_index(["region", "parameter"])
        assert rows.loc[("brain", "Ki"), ["standard_error", "interval_lower", "unit"]].tolist() == [
            0.002,
            0.028,
            "mL cm-3 min-1",
        ]
        assert np.isnan(rows.loc[("left ventricle", "Ki"), "standard_error"])
        assert sidecar(root, "sub-m01/pet/sub-m01_model-Patlak_kinpar")["Ki-se"]["Units"] == "mL cm-3 min-1"

    def test_paths_of_this_machine_stay_here(self, root: Path) -> None:
        assert [path for path in root.rglob("*.json") if "/data/mice" in path.read_text()] == []
        about = sidecar(root, "sub-m01/pet/sub-m01_desc-learned_inputfunction")
        assert about["Warnings"] == ["read from sub-m01/pet/blood.tsv"]

    def test_times_are_on_the_axis_of_the_files_of_the_scan(self, tmp_path: Path) -> None:
        scan = exported_scan()
        late = replace(scan.scan, acquisition=replace(scan.scan.acquisition, injection_start=30.0))
        BIDS.export(exported_study(replace(scan, scan=late)), tmp_path)
        folder = tmp_path / "bids/sub-m01/pet"
        curves = pd.read_csv(folder / "sub-m01_seg-regions_tacs.tsv", sep="\t")
        blood = pd.read_csv(folder / "sub-m01_desc-learned_inputfunction.tsv", sep="\t")
        assert curves["frame_start"].tolist() == [30.0, 90.0, 330.0]
        assert blood["time"].tolist() == [30.0, 50.0, 70.0, 3630.0]


class TestOwnReaders:
    def test_the_input_function_is_read_as_one_of_bloodstream(self, root: Path) -> None:
        from dlif_core.input_function import METHODS
        from dlif_core.input_function.from_file.quantities import file_curves
        from dlif_core.input_function.from_file.tables import read_curve_table

        path = str(root / "sub-m01/pet/sub-m01_desc-learned_inputfunction.tsv")
        options = METHODS["from-file"].parse({"path": path, "format": "bloodstream"})
        found = file_curves([read_curve_table(path)], exported_scan().scan.acquisition, options)
        np.testing.assert_array_equal(found.series["parent"].value, curve().plasma)
        np.testing.assert_array_equal(found.series["whole_blood"].value, curve().whole_blood)

    def test_region_curves_beside_the_data_are_read_as_they_were(self, root: Path, tmp_path: Path) -> None:
        """Frames, volumes, names with blanks, and units of the exported table, through the reader of PET-BIDS."""
        from dlif_core.ingest import find_scans, open_scan

        pet = tmp_path / "sub-m01" / "pet"
        pet.mkdir(parents=True)
        about = {
            "FrameTimesStart": [0, 60, 300],
            "FrameDuration": [60, 240, 3300],
            "TracerName": "FDG",
            "TracerRadionuclide": "F18",
            "Units": "Bq/mL",
            "TimeZero": "10:00:00",
            "ScanStart": 0,
            "InjectionStart": 0,
            "ImageDecayCorrected": True,
            "ImageDecayCorrectionTime": 0,
            "InjectedRadioactivity": 9,
            "InjectedRadioactivityUnits": "MBq",
        }
        (pet / "sub-m01_pet.json").write_text(json.dumps(about))
        (tmp_path / "dataset_description.json").write_text('{"Name": "mice", "BIDSVersion": "1.8.0"}')
        shutil.copytree(root, tmp_path / "derivatives" / "dlif", ignore=shutil.ignore_patterns("*.nii.gz"))
        (files,) = find_scans(str(tmp_path))
        with open_scan(files) as ingested:
            found, scan = ingested.scan.regions, exported_scan().scan
        assert found.names == scan.regions.names
        np.testing.assert_allclose(found.activity, scan.regions.activity, rtol=1e-12)
        np.testing.assert_allclose(found.volume, scan.regions.volume)


class TestNames:
    def test_entities_that_bids_knows_are_as_in_its_schema(self, root: Path) -> None:
        schema = pytest.importorskip("bidsschematools.schema").load_schema()
        keys = {entity["name"]: key for key, entity in schema.objects.entities.items()}
        order = list(schema.rules.entities)
        proposed = {"model", "meas"}
        for path in root.rglob("sub-*_*"):
            *entities, last = path.name.split("_")
            pairs = dict(entity.split("-") for entity in entities)
            assert pairs.keys() - keys.keys() <= proposed
            known = [order.index(keys[name]) for name in pairs if name in keys]
            assert known == sorted(known), path.name
            for name in pairs.keys() & keys.keys():
                form = schema.objects.formats[schema.objects.entities[keys[name]]["format"]]["pattern"]
                assert re.fullmatch(form, pairs[name]), path.name
            suffix, extension = last.split(".", 1)
            assert suffix in {"mimap", "kinpar", "tacs", "inputfunction", "dseg", "morph"}
            assert f".{extension}" in {one["value"] for one in schema.objects.extensions.values()}

    def test_the_validator_of_bids_knows_all_files_that_are_not_ignored(self, root: Path) -> None:
        validator = pytest.importorskip("bidsschematools.validator")
        found = validator.validate_bids(str(root), dummy_paths=False)
        ignored = (root / ".bidsignore").read_text().split()
        unknown = [path for path in found["path_tracking"] if not any(Path(path).match(one) for one in ignored)]
        # its expressions want a subject in a name that the schema allows without, `rules.files.deriv.tables`
        assert {Path(path).name for path in unknown} <= {"descriptions.tsv", ".bidsignore"}
        descriptions = pd.read_csv(root / "descriptions.tsv", sep="\t")
        assert descriptions.columns.tolist() == ["desc_id", "description"]
        used = {desc for path in root.rglob("*_desc-*") for desc in re.findall("_(desc-[A-Za-z0-9]+)_", path.name)}
        assert set(descriptions["desc_id"]) == used
        schema = pytest.importorskip("bidsschematools.schema").load_schema()
        form = schema.objects.columns["desc_id"]["pattern"]
        assert all(re.fullmatch(form, one) for one in used)

    def test_the_dataset_is_a_derivative_of_a_named_version_of_its_source(self, root: Path) -> None:
        schema = pytest.importorskip("bidsschematools.schema").load_schema()
        about = sidecar(root, "dataset_description")
        assert about["DatasetType"] == "derivative"
        assert about["GeneratedBy"][0]["Name"] == "dlif"
        assert about["SourceDatasets"][0]["Version"].startswith("sha256:")
        assert about.keys() <= {field["name"] for field in schema.objects.metadata.values()}

    def test_the_label_image_keeps_its_numbers_and_names(self, root: Path) -> None:
        image = nib.load(root / "sub-m01/pet/sub-m01_seg-regions_dseg.nii.gz")
        np.testing.assert_array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), labels())
        names = pd.read_csv(root / "sub-m01/pet/sub-m01_seg-regions_dseg.tsv", sep="\t")
        assert dict(zip(names["index"], names["name"], strict=True)) == {3: "brain", 7: "left ventricle"}

    def test_every_model_has_a_label_of_its_own(self) -> None:
        labels_of_models = [model_label(name) for name in MODELS]
        assert len(set(labels_of_models)) == len(labels_of_models)
        assert all(one.isalnum() for one in labels_of_models)

    def test_sessions_are_folders_and_names_that_bids_does_not_allow_become_labels(self, tmp_path: Path) -> None:
        BIDS.export(
            exported_study(exported_scan(scan_id="sub-m01_ses-2_run-1"), exported_scan(scan_id="Maus 3/b")), tmp_path
        )
        folders = {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*_tacs.tsv")}
        assert folders == {"bids/sub-m01/ses-2/pet", "bids/sub-Maus3B/pet"}

    def test_two_scans_of_one_label_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="two results would have this name"):
            BIDS.export(exported_study(exported_scan(scan_id="Maus 3"), exported_scan(scan_id="Maus-3")), tmp_path)

    def test_analyses_of_one_model_are_told_apart_by_their_names(self, tmp_path: Path) -> None:
        BIDS.export(exported_study(exported_scan(maps={"patlak": maps(), "patlak-late": maps()})), tmp_path)
        names = {path.name for path in tmp_path.rglob("*meas-Ki*.nii.gz")}
        assert names == {
            f"sub-m01_model-Patlak_meas-Ki_{end}mimap.nii.gz"
            for end in ("", "desc-se_", "desc-patlakLate_", "desc-patlakLateSe_")
        }

    def test_label_joins_words(self) -> None:
        assert label("2tcm-common-k1k2") == "2tcmCommonK1k2"
