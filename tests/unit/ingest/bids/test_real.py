"""Ingest of measured public data, with the faults that they really have."""

import re
from pathlib import Path

import numpy as np
import pytest

from dlif_core.errors import FrameOverlapError, ImageError, InputError
from dlif_core.ingest import ScanFiles, find_scans, open_scan
from dlif_core.ingest.bids.blood import read_blood
from dlif_core.ingest.bids.metadata import read_metadata

pytestmark = pytest.mark.realdata

DATASETS = {
    "bids_examples/pet001": 1,
    "bids_examples/pet002": 4,
    "bids_examples/pet003": 1,
    "bids_examples/pet004": 1,
    "bids_examples/pet005": 2,
    "bids_examples/pet006": 1,
    "import_traps/ds003397_fpet": 4,
    "import_traps/ds004230_ps13": 2,
    "import_traps/ds004868_ps13": 4,
    "import_traps/ds005619_sf51": 1,
    "import_traps/leucine/ds004654": 4,
    "import_traps/leucine/ds004730": 4,
    "import_traps/leucine/ds004731": 2,
    "ds004513_fdg": 29,
    "ds004869_mc1": 12,
}


def scans(root: Path) -> dict[str, ScanFiles]:
    return {files.scan_id: files for files in find_scans(str(root))}


def fault_of(files: ScanFiles) -> InputError | None:
    try:
        with open_scan(files) as ingested:
            assert len(ingested.scan.regions.names) > 0
    except InputError as error:
        return error
    return None


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_scan_opens_or_says_why_not(real_data: Path, dataset: str) -> None:
    found = scans(real_data / dataset)
    assert len(found) == DATASETS[dataset]
    for files in found.values():
        error = fault_of(files)
        if error is not None:
            assert str(real_data) in error.where, error
            assert error.hint or "faults" in error.message, error


class TestCohort:
    """[11C]MC1: region curves and arterial blood, without images."""

    def test_every_scan_opens(self, real_data: Path) -> None:
        found = scans(real_data / "ds004869_mc1")
        assert list(found)[:2] == ["sub-01_ses-baseline", "sub-01_ses-blocked"]
        for files in found.values():
            with open_scan(files) as ingested:
                scan = ingested.scan
            assert len(scan.regions.names) in range(90, 111)
            assert len(scan.timing) in (27, 33)
            assert scan.timing.gaps == ()
            assert scan.timing.start[0] == 0
            assert np.isfinite(scan.regions.volume).mean() > 0.9
            assert scan.acquisition.half_life == 1220.04
            assert scan.acquisition.tracer == "MC1"
            assert 3e8 < scan.acquisition.injected_activity < 1e9
            assert 40 < scan.acquisition.body_weight < 120

    def test_values_of_one_scan(self, real_data: Path) -> None:
        files = scans(real_data / "ds004869_mc1")["sub-01_ses-baseline"]
        with open_scan(files, {"thalamus": ("*-Thalamus",)}) as ingested:
            scan, (blood,) = ingested.scan, ingested.blood
        assert scan.acquisition.injected_activity == 653790e3
        assert scan.acquisition.body_weight == 75.8
        left, right, both = (scan.regions.names.index(n) for n in ("Left-Thalamus", "Right-Thalamus", "thalamus"))
        assert scan.regions.volume[left] == 9612
        assert scan.regions.activity[left, 1] == 2111.49462890625
        weight = scan.regions.volume[[left, right]]
        np.testing.assert_allclose(
            scan.regions.activity[both], weight @ scan.regions.activity[[left, right]] / weight.sum()
        )
        assert (blood.time[-1], blood.plasma[-1], blood.parent_fraction[-1]) == (7220, 4769.342682, 0.3504)
        assert blood.arterial

    def test_blood_out_of_order_stays_as_recorded(self, real_data: Path) -> None:
        with open_scan(scans(real_data / "ds004869_mc1")["sub-13_ses-retest"]) as ingested:
            time = ingested.blood[0].time.round(6).tolist()
        first = time.index(100.8)
        assert time[first : first + 4] == [100.8, 178.2, 133.8, 150.0]

    def test_partial_volume_corrected_curves_on_request(self, real_data: Path) -> None:
        root = str(real_data / "ds004869_mc1")
        corrected = {files.scan_id: files for files in find_scans(root, "*_pvc-agtm_desc-gtmseg_tacs.tsv")}
        with open_scan(corrected["sub-01_ses-baseline"]) as ingested:
            names, activity = ingested.scan.regions.names, ingested.scan.regions.activity
        assert activity[names.index("Left-Thalamus"), 1] == 2559.084716796875


@pytest.mark.parametrize("example", ["pet001", "pet003", "pet004"])
def test_frame_end_times_that_the_validator_accepts(real_data: Path, example: str) -> None:
    (files,) = scans(real_data / "bids_examples" / example).values()
    with pytest.raises(FrameOverlapError, match="FrameDuration holds frame END times") as caught, open_scan(files):
        pass
    assert caught.value.where.endswith("_pet.json")


@pytest.mark.parametrize(("example", "word"), [("pet002", "a web page"), ("pet005", "gzip"), ("pet006", "gzip")])
def test_files_that_are_no_images(real_data: Path, example: str, word: str) -> None:
    for files in scans(real_data / "bids_examples" / example).values():
        with pytest.raises(ImageError, match=word), open_scan(files):
            pass


def test_sidecar_of_an_autosampler_that_is_missing(real_data: Path) -> None:
    for files in scans(real_data / "import_traps" / "ds004230_ps13").values():
        blood = read_blood(files, read_metadata(files))
        autosampler = {recording.name: recording for recording in blood.recordings}["autosampler"]
        assert re.search(r"Add .*recording-autosampler_blood\.json", autosampler.refused)


def test_fpet_sidecar_without_timing_units_or_tracer(real_data: Path) -> None:
    files = scans(real_data / "import_traps" / "ds003397_fpet")["sub-02_task-checkerboard_run-1"]
    with pytest.raises(InputError, match="FrameTimesStart is missing and FrameDuration is missing") as caught:
        read_metadata(files)
    assert "field Units" in caught.value.message


@pytest.mark.parametrize(
    ("scan", "activity"),
    [
        ("sub-PSBB01_ses-baseline", 750656e3),
        ("sub-PSTRT17_ses-baseline", 701.89e6),
    ],
)
def test_spellings_of_units(real_data: Path, scan: str, activity: float) -> None:
    metadata = read_metadata(scans(real_data / "import_traps" / "ds004868_ps13")[scan])
    assert metadata.acquisition.injected_activity == pytest.approx(activity)
    assert metadata.image_factor == 1


def test_venous_columns_beside_arterial_ones(real_data: Path) -> None:
    files = scans(real_data / "import_traps" / "leucine" / "ds004654")["sub-HM02_ses-Awake"]
    metadata = read_metadata(files)
    arterial, venous = read_blood(files, metadata).recordings
    assert (arterial.arterial, venous.arterial) == (True, False)
    assert metadata.acquisition.body_weight == 76.7
    assert metadata.image_factor == 1000
    row = arterial.time.tolist().index(935.5)
    assert np.isnan(arterial.plasma[row])
    assert venous.plasma[row] == pytest.approx(10272.31)


def test_zero_rows_at_the_end_stay_for_the_blood_room(real_data: Path) -> None:
    (files,) = scans(real_data / "import_traps" / "ds005619_sf51").values()
    (blood,) = read_blood(files, read_metadata(files)).recordings
    np.testing.assert_array_equal(blood.time[-3:], 0)
    np.testing.assert_array_equal(blood.whole_blood[-3:], 0)


def test_measured_plasma_of_every_fdg_session(real_data: Path) -> None:
    for files in scans(real_data / "ds004513_fdg").values():
        metadata = read_metadata(files)
        (blood,) = read_blood(files, metadata).recordings
        assert metadata.acquisition.half_life == 6586.2
        assert 1e4 < blood.plasma.max() < 2e5  # Bq/mL
        assert blood.whole_blood is None
        assert (np.diff(blood.time) > 0).all()
