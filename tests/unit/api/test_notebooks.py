"""The notebook path: short scripts from tables, or an image, to numbers with standard errors."""

import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import dlif_core as dlif
from tests.unit.api.tables import REVERSIBLE, curves, volume, write_tables
from tests.unit.kinetics.truth import F18, MOUSE

EXAMPLES = Path(__file__).parents[3] / "examples"
VOLUMES = np.array([volume(k) for k in REVERSIBLE.values()])


def lines(script: Path) -> list[str]:
    return [line for line in script.read_text().splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("notebook_*.py")), ids=lambda path: path.stem)
def test_a_script_has_six_lines_at_most(script: Path) -> None:
    assert len(lines(script)) <= 6


def test_from_two_tables_to_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tables(tmp_path, REVERSIBLE)
    monkeypatch.chdir(tmp_path)
    fit = runpy.run_path(str(EXAMPLES / "notebook_regions.py"))["fit"]
    for name in ("K1", "k2", "k3", "k4"):
        np.testing.assert_allclose(fit[name], [k[name] for k in REVERSIBLE.values()], rtol=1e-3)
        assert np.isfinite(fit[f"{name}_se"]).all()
    np.testing.assert_allclose(fit["VT"], VOLUMES, rtol=1e-3)
    assert "cortex" in capsys.readouterr().out


def test_from_an_image_to_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VT of the Logan plot is about that of the tissue in the voxel, (1 - vB) VT."""
    write_tables(tmp_path, REVERSIBLE)
    monkeypatch.chdir(tmp_path)
    tissue = np.arange(8).reshape(2, 2, 2) % 2
    voxels = np.array(list(curves(REVERSIBLE).values())).T[:, tissue]
    frames = {"frame_start": ("frame", MOUSE.start), "frame_duration": ("frame", MOUSE.duration)}
    stated = {"units": "Bq/mL", "half_life": F18}
    image = xr.DataArray(voxels, dims=("frame", "z", "y", "x"), coords=frames, attrs=stated)
    image.to_dataset(name="activity").chunk({"z": 1}).to_zarr("image.zarr")
    runpy.run_path(str(EXAMPLES / "notebook_image.py"))
    maps = xr.open_zarr("maps.zarr").load()
    vascular = np.array([k["vB"] for k in REVERSIBLE.values()])
    np.testing.assert_allclose(maps["VT"], ((1 - vascular) * VOLUMES)[tissue], rtol=0.1)
    assert (maps["status"] == dlif.FitStatus.CONVERGED).all()
    assert np.isfinite(maps["VT_se"]).all()


@pytest.mark.realdata
def test_measured_human_scan(real_data: Path) -> None:
    """A scan of [11C]MC1: what a notebook finds from two tables is what it finds from the dataset."""
    root = real_data / "ds004869_mc1"
    stem = "sub-04_ses-baseline"
    folder = root / "derivatives/petprep_extract_tacs/sub-04/ses-baseline"
    table = pd.read_csv(folder / f"{stem}_desc-gtmseg_tacs.tsv", sep="\t")
    few = table[["frame_start", "frame_end", "Left-Thalamus", "Left-Putamen", "Left-Hippocampus"]]
    stated = json.loads((root / f"sub-04/ses-baseline/pet/{stem}_pet.json").read_text())
    blood = root / f"sub-04/ses-baseline/pet/{stem}_recording-manual_blood.tsv"
    acquisition = dlif.Acquisition("MC1", stated["RadionuclideHalfLife"], species="human")
    scan = dlif.read_curves(few, blood=blood, units="Bq/mL", acquisition=acquisition)
    found = dlif.fit(scan, "logan", t_star=30)["VT"]
    with pytest.warns(dlif.DlifWarning):
        whole = dlif.open_scan(root, stem, curves="*_desc-gtmseg_tacs.tsv")
    uniform = {"t_star": 30, "weights": "duration"}
    expected = dlif.fit(whole, "logan", **uniform)["VT"].sel(region=found["region"])
    np.testing.assert_allclose(dlif.fit(scan, "logan", **uniform)["VT"], expected, rtol=1e-6)
    assert ((found > 0.5) & (found < 20)).all()
