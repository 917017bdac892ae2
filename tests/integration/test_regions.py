"""A study whose scans have a label image that options name, corrected for partial volume, from data to report."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dlif_core.store import open_store
from dlif_core.study.config import StudyConfig
from dlif_core.study.source import read_scan
from tests.unit.ingest.bids.dataset import AFFINE, SIDECAR, make_dataset, write, write_image


def test_a_study_keeps_measured_and_corrected_curves(run_study: Callable[..., StudyConfig], tmp_path: Path) -> None:
    labels = np.zeros((8, 9, 10), np.int16)
    labels[2:6, 2:7, 3:7] = 3
    image = np.where(labels[..., None] == 3, 2000, 400) * np.array([4, 3, 2, 1])
    fields = SIDECAR | {"Units": "Bq/mL", "FrameTimesStart": [0, 600, 1200, 1800], "FrameDuration": [600] * 4}
    make_dataset(tmp_path / "data", fields, image.astype(np.int16))
    write_image(tmp_path / "labels" / "sub-01.nii.gz", labels, affine=AFFINE)
    write(tmp_path / "names.label", '3 255 0 0 1 1 1 "liver"\n')
    run_study(
        tmp_path,
        data={"uri": "data", "format": "pet-bids", "labels": "labels/{scan}.nii.gz", "label_names": "names.label"},
        regions={"partial_volume": {"fwhm": 4}},
        kinetics=[{"model": "suv", "window": [10, 40], "maps": False}],
        accept=["scan-too-short"],
        export=["bids"],
    )
    store = open_store(str(tmp_path / "out"))
    tables = store.open_dataset("scans/sub-01.zarr/source")
    measured, corrected = (tables[name].to_numpy()[0] for name in ("region_activity_uncorrected", "region_activity"))
    np.testing.assert_allclose(measured, [4000, 3000, 2000, 1000], rtol=1e-3)
    assert (corrected > 1.15 * measured).all()
    assert json.loads(tables.attrs["provenance"])["partial volume"]["fwhm"] == 4
    scan, _ = read_scan(store, "sub-01")
    assert scan.regions.names == ("liver",)
    report = (tmp_path / "out" / "reports" / "sub-01" / "report.html").read_text()
    assert "corrected for partial volume (gtm, FWHM 4 mm)" in report
    (sidecar,) = (tmp_path / "out" / "exports").rglob("*_tacs.json")
    assert json.loads(sidecar.read_text())["PartialVolumeCorrection"]["method"] == "gtm"
