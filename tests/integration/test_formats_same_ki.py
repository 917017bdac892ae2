"""One phantom in every format, each through a whole study: the same Ki."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dlif_core.store import open_store
from dlif_core.study.config import StudyConfig
from tests.unit.ingest.arrays.groups import write_group
from tests.unit.ingest.dicom import series
from tests.unit.ingest.ecat.images import write_ecat
from tests.unit.ingest.interfile.images import write_interfile
from tests.unit.ingest.inveon.images import write_inveon
from tests.unit.ingest.phantom import ACTIVITY, DURATION, START, VOXEL_SIZE
from tests.unit.ingest.volumes.images import write_analyze, write_nifti

CURVE = "time\twhole_blood\n0\t0\n20\t60000\n40\t50000\n60\t40000\n300\t20000\n690\t15000\n"
OPTIONS = {
    "columns": {"time": "time", "whole_blood": "whole_blood"},
    "time_unit": "s",
    "units": "Bq/mL",
    "decay_corrected_to": "injection",
}


def write_dicom(folder: Path) -> None:
    """The phantom as a series, its slices from the feet to the head."""

    def edit(dataset: Dataset, frame: int, z: int) -> None:
        x, y, gap = VOXEL_SIZE
        dataset.Rows, dataset.Columns = ACTIVITY.shape[2:]
        dataset.PixelSpacing, dataset.SliceThickness = [y, x], gap
        dataset.ImagePositionPatient = [0.0, 0.0, gap * z]
        dataset.ActualFrameDuration = int(1000 * DURATION[frame])
        dataset.AcquisitionTime = series.clock(START[frame])["time"]
        dataset.FrameReferenceTime = 1000 * (START[frame] + DURATION[frame] / 2)
        dataset.PixelRepresentation, dataset.RescaleSlope = 0, 1
        # rows run to the back and columns to the left
        dataset.PixelData = ACTIVITY[frame, z, ::-1, ::-1].astype("<u2").tobytes()
        del dataset.DecayFactor

    series.write_series(folder, edit)


FORMATS: dict[str, Callable[[Path], Any]] = {
    "dicom": lambda folder: write_dicom(folder / "mouse"),
    "ecat": lambda folder: write_ecat(folder / "mouse.v", dosage=0.0),
    "inveon": lambda folder: write_inveon(folder / "mouse.img"),
    "interfile": lambda folder: write_interfile(folder / "mouse.hv"),
    "nifti": lambda folder: write_nifti(folder / "mouse.nii.gz"),
    "analyze": lambda folder: write_analyze(folder / "mouse.hdr"),
    "zarr": lambda folder: write_group(folder / "mouse.zarr"),
}


def analysed(folder: Path, run_study: Callable[..., StudyConfig], format: str) -> dict[str, float]:
    (folder / "data").mkdir(parents=True)
    FORMATS[format](folder / "data")
    (folder / "sub-mouse_curve.tsv").write_text(CURVE)
    config = run_study(
        folder,
        data={"uri": "data", "format": "nifti" if format == "analyze" else format},
        input_functions={"from-file": {"path": "{subject}_curve.tsv", **OPTIONS}},
        kinetics=[{"model": "patlak", "t_star": 0.0, "maps": True}],
        accept=["uptake-range", "scan-too-short", "same-highest"],
    )
    store = open_store(config.output)
    (scan,) = (name for name in store.products("scans/") if name.endswith("patlak/regions"))
    regions = store.open_dataset(scan)
    maps = store.open_dataset(scan.replace("/regions", "/maps"))
    values = np.sort(maps["Ki"].to_numpy().ravel())
    return {"Ki": float(regions["Ki"][0]), "lowest": float(values[0]), "highest": float(values[-1])}


@pytest.mark.slow
def test_every_format_gives_the_same_ki(tmp_path: Path, run_study: Callable[..., StudyConfig]) -> None:
    found = {format: analysed(tmp_path / format, run_study, format) for format in FORMATS}
    for format, values in found.items():
        assert values == pytest.approx(found["nifti"], rel=1e-4), format
    assert found["nifti"]["Ki"] != 0.0
