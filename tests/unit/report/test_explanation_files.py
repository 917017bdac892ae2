"""The files of an explanation: all are there, volumes lie on the scan, and the record is what JSON can hold."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from dlif_core.report.explanation_files import RECORD, explanation_record, frame_table, write_explanation
from tests.unit.report.examples import TIMING
from tests.unit.report.test_learned import SHAPE, explanation

AFFINE = np.array([[0.0, -1.0, 0.0, 30.0], [1.0, 0.0, 0.0, -12.5], [0.0, 0.0, 1.0, 4.0], [0.0, 0.0, 0.0, 1.0]])
ABOUT = {"scan": "sub-01", "model": "mouse"}


def complete() -> xr.Dataset:
    """An explanation as `explain_scan` makes it, of two metrics of which one has a colon in its name."""
    frames = len(TIMING)
    made = explanation().assign_coords(target=["auc", "ki:brain"])
    made["factor"] = ("frame", np.linspace(0.9, 1.1, frames))
    made["frame_matrix"] = (("curve_frame", "frame"), np.eye(frames))
    return made.assign_attrs(members=3, affine=AFFINE.tolist())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("explanation") / "new" / "folder"
    write_explanation(made, complete(), ABOUT)
    return made


def test_every_file_is_there(folder: Path) -> None:
    each = [
        f"{stem}-{rest}" for stem in ("auc", "ki-brain") for rest in ("slices.png", "course.svg", "relevance.nii.gz")
    ]
    whole = [RECORD, "frames.tsv", "frames.svg", "weight-map.nii.gz", "mean-activity.nii.gz"]
    assert {path.name for path in folder.iterdir()} == {*each, *whole}
    assert all(path.stat().st_size > 0 for path in folder.iterdir())


def test_volumes_lie_on_the_scan(folder: Path) -> None:
    made = complete()
    expected = {
        "weight-map": made["weight_map"],
        "mean-activity": made["mean_activity"],
        "auc-relevance": made["relevance"].sel(target="auc"),
        "ki-brain-relevance": made["relevance"].sel(target="ki:brain"),
    }
    for name, values in expected.items():
        image = nib.load(folder / f"{name}.nii.gz")
        assert image.shape == SHAPE[::-1]
        np.testing.assert_allclose(image.affine, AFFINE, atol=1e-6)
        assert image.header.get_xyzt_units()[0] == "mm"
        # the voxel (x, y, z) of the image is the voxel (z, y, x) of the explanation
        for z, y, x in ((0, 0, 0), (9, 7, 6), (19, 3, 13)):
            assert image.dataobj[x, y, z] == pytest.approx(float(values[z, y, x]), rel=1e-6)


def test_the_record_survives_json(folder: Path) -> None:
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    assert record == {**ABOUT, **explanation_record(complete())}
    assert record["members"] == 3
    brain = record["metrics"]["ki:brain"]
    assert (brain["title"], brain["units"], brain["value"]) == ("highest frame", "SUV", 8.0)
    assert brain["change with region hidden"] == {"brain": -0.2, "left_ventricle": 0.3}
    windows = list(brain["change with window hidden"].values())
    assert windows[2] == -0.25
    # the scan does not have the last window
    assert windows[-1] is None


def test_a_scan_without_regions_has_none_in_the_record() -> None:
    made = complete().drop_dims("region")
    assert "relevance of region" not in explanation_record(made)["metrics"]["auc"]


def test_frames_have_a_row_each(folder: Path) -> None:
    table = pd.read_csv(folder / "frames.tsv", sep="\t")
    pd.testing.assert_frame_equal(table, frame_table(complete()), rtol=1e-5, check_dtype=False)
    assert list(table["frame_start"]) == pytest.approx(list(TIMING.start))
    assert {"relevance_auc", "relevance_ki:brain"} <= set(table)
