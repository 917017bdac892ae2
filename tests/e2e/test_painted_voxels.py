"""Measured region curves painted onto a label map: voxelwise fits must equal the regional fits of the same curves."""

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from dlif_core.study.config import StudyConfig
from dlif_core.study.plan import open_study_store
from dlif_core.study.products import fit_name
from dlif_core.study.source import read_scan

pytestmark = [pytest.mark.realdata, pytest.mark.slow]

SCAN = "sub-01_ses-baseline"
FITS = {"VT": "2tcm-reversible", "Ki": "2tcm-irreversible"}


def paint(data: Path, root: Path) -> None:
    """Write a PET-BIDS scan whose every voxel has the measured curve of its region."""
    cohort = data / "ds004869_mc1"
    measured = cohort / "sub-01" / "ses-baseline" / "pet"
    derived = cohort / "derivatives" / "petprep_extract_tacs" / "sub-01" / "ses-baseline"
    pet = root / "sub-01" / "ses-baseline" / "pet"
    pet.mkdir(parents=True)
    for file in measured.glob("*"):
        shutil.copyfile(file, pet / file.name)
    shutil.copyfile(cohort / "participants.tsv", root / "participants.tsv")
    names = pd.read_csv(derived / f"{SCAN}_desc-gtmseg_dseg.tsv", sep="\t")
    curves = pd.read_csv(derived / f"{SCAN}_desc-gtmseg_tacs.tsv", sep="\t")
    names = names[names["name"].isin(curves.columns)]
    atlas = nib.load(data / "brain_labels" / "aparc+aseg_4mm.nii.gz")
    labels = np.asarray(atlas.dataobj).astype(np.int32)
    labels[~np.isin(labels, names["index"])] = 0
    image = np.zeros((*labels.shape, len(curves)), np.float32)
    for label, name in names.itertuples(index=False):
        image[labels == label] = curves[name]
    nib.Nifti1Image(image, atlas.affine).to_filename(pet / f"{SCAN}_pet.nii.gz")
    output = root / "derivatives" / "labels" / "sub-01" / "ses-baseline" / "pet"
    output.mkdir(parents=True)
    nib.Nifti1Image(labels, atlas.affine).to_filename(output / f"{SCAN}_dseg.nii.gz")
    names.to_csv(output / f"{SCAN}_dseg.tsv", sep="\t", index=False)


@pytest.fixture(scope="module")
def study(
    real_data: Path, tmp_path_factory: pytest.TempPathFactory, run_study: Callable[..., StudyConfig]
) -> StudyConfig:
    folder = tmp_path_factory.mktemp("painted")
    paint(real_data, folder / "bids")
    fits = [{"model": model, "delay": "image"} for model in FITS.values()]
    return run_study(folder, data="bids", input_functions={"arterial": {}}, kinetics=fits)


def opened(study: StudyConfig, model: str, kind: str) -> xr.Dataset:
    return open_study_store(study).open_dataset(fit_name(SCAN, model, kind))


@pytest.mark.parametrize(("parameter", "tolerance"), [("VT", 0.01), ("Ki", 0.005)])
def test_voxels_equal_their_region(study: StudyConfig, parameter: str, tolerance: float) -> None:
    regions, maps = (opened(study, FITS[parameter], kind) for kind in ("regions", "maps"))
    scan, _ = read_scan(open_study_store(study), SCAN)
    assert scan.labels is not None
    compared = 0
    for label, name in scan.label_names.items():
        inside = scan.labels == label
        if not inside.any():
            continue
        region = regions.sel(region=name)
        if int(region["status"]) != 0:
            continue
        voxels = maps[parameter].to_numpy()[inside]
        np.testing.assert_allclose(voxels, float(region[parameter]), rtol=tolerance, err_msg=name)
        compared += 1
    assert compared > 70


def test_voxels_outside_the_labels_are_masked(study: StudyConfig) -> None:
    maps = opened(study, FITS["VT"], "maps")
    scan, _ = read_scan(open_study_store(study), SCAN)
    outside = np.asarray(scan.labels) == 0
    meanings = dict(
        zip(maps["status"].attrs["flag_meanings"].split(), maps["status"].attrs["flag_values"], strict=True)
    )
    assert (maps["status"].to_numpy()[outside] == meanings["masked"]).all()
    assert np.isnan(maps["VT"].to_numpy()[outside]).all()
