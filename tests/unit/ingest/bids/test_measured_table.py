"""Every file of the measured data with real faults, against what must come of it.

The numbers are computed here from the files by themselves: JSON and the csv module know nothing of dlif.
"""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from dlif_core.errors import InputError
from dlif_core.ingest import ScanFiles, find_scans, open_scan
from dlif_core.ingest.bids.blood import read_blood
from dlif_core.ingest.bids.metadata import read_metadata

pytestmark = pytest.mark.realdata

END_TIMES = r"FrameDuration holds frame END times"
NO_FRAMES = r"FrameTimesStart is missing and FrameDuration is missing"
NO_IMAGE = r"neither an image nor region curves"
NO_GZIP = r"not a gzip file"

#: Data set: its scans, why their sidecars are refused (or None), why the scans are, and checks that fire.
TABLE: dict[str, tuple[int, str | None, str, set[str]]] = {
    "bids_examples/pet001": (1, END_TIMES, END_TIMES, set()),
    "bids_examples/pet002": (4, None, NO_GZIP, set()),
    "bids_examples/pet003": (1, END_TIMES, END_TIMES, set()),
    "bids_examples/pet004": (1, END_TIMES, END_TIMES, set()),
    "bids_examples/pet005": (2, None, NO_GZIP, {"unit-not-given"}),
    "bids_examples/pet006": (1, None, NO_GZIP, {"unit-not-given"}),
    "import_traps/ds003397_fpet": (4, NO_FRAMES, NO_FRAMES, set()),
    "import_traps/ds004230_ps13": (2, None, NO_IMAGE, {"time-axis", "weight-not-given"}),
    "import_traps/ds004868_ps13": (4, None, NO_IMAGE, {"unit-not-given"}),
    "import_traps/ds005619_sf51": (1, None, NO_IMAGE, {"weight-not-given"}),
    "import_traps/leucine/ds004654": (4, None, NO_IMAGE, set()),
    "import_traps/leucine/ds004730": (4, None, NO_IMAGE, set()),
    "import_traps/leucine/ds004731": (2, None, NO_IMAGE, set()),
}
READ = [name for name, (_, refused, _, _) in TABLE.items() if refused is None]

#: Files that are no scan's: other modalities, documents, events.
NOT_OURS = re.compile(r"/anat/|README|SOURCE|dataset_description\.json|_events\.(tsv|json)|CHANGES|LICENSE")

FACTOR = {"bq/ml": 1.0, "bqml": 1.0, "kbq/ml": 1e3, "bq": 1.0, "kbq": 1e3, "mbq": 1e6, "gbq": 1e9, "%": 0.01}
FACTOR |= dict.fromkeys(("s", "seconds", "unitless", "arbitrary", "1"), 1.0) | {"min": 60.0}

COLUMNS = {
    "whole_blood": "whole_blood_radioactivity",
    "plasma": "plasma_radioactivity",
    "parent_fraction": "metabolite_parent_fraction",
}


def scans(real_data: Path, dataset: str) -> list[ScanFiles]:
    return find_scans(str(real_data / dataset))


def sidecar(files: ScanFiles, role: str = "sidecar") -> dict[str, object]:
    merged: dict[str, object] = {}
    for uri in files.role(role):
        merged |= json.loads(Path(uri).read_text())
    return merged


@pytest.mark.parametrize("dataset", TABLE)
def test_every_scan_comes_out_as_it_must(real_data: Path, dataset: str) -> None:
    number, _, refused, _ = TABLE[dataset]
    found = scans(real_data, dataset)
    assert len(found) == number
    for files in found:
        with pytest.raises(InputError, match=refused) as caught, open_scan(files):
            pass
        assert str(real_data / dataset) in caught.value.where
        assert caught.value.hint or "faults" in caught.value.message


@pytest.mark.parametrize("dataset", TABLE)
def test_every_file_is_a_scans_or_none_of_ours(real_data: Path, dataset: str) -> None:
    used = {uri for files in scans(real_data, dataset) for uri in files.inputs().values()}
    there = {str(path) for path in (real_data / dataset).rglob("*") if path.is_file()}
    assert {path for path in there - used if not NOT_OURS.search(path)} == set()
    assert used <= there


@pytest.mark.parametrize("dataset", TABLE)
def test_every_sidecar_is_read_or_refused(real_data: Path, dataset: str) -> None:
    _, refused, _, checks = TABLE[dataset]
    for files in scans(real_data, dataset):
        if refused:
            with pytest.raises(InputError, match=refused):
                read_metadata(files)
            continue
        metadata, fields = read_metadata(files), sidecar(files)
        assert metadata.timing.start.tolist() == fields["FrameTimesStart"]
        assert metadata.timing.duration.tolist() == fields["FrameDuration"]
        unit = str(fields["InjectedRadioactivityUnits"]).lower()
        dose = float(fields["InjectedRadioactivity"]) * FACTOR[unit]  # type: ignore[arg-type]
        assert metadata.acquisition.injected_activity == pytest.approx(dose)
        assert metadata.image_factor == pytest.approx(FACTOR[str(fields["Units"]).lower()])
        assert {finding.check for finding in metadata.findings} == checks


@pytest.mark.parametrize("dataset", READ)
def test_every_body_weight_is_that_of_the_table(real_data: Path, dataset: str) -> None:
    for files in scans(real_data, dataset):
        path = real_data / dataset / "participants.tsv"
        lines = path.read_text().splitlines() if path.exists() else []
        rows = {row["participant_id"]: row for row in csv.DictReader(lines, delimiter="\t")}
        stated = sidecar(files).get("BodyWeight", rows.get(files.subject, {}).get("weight"))
        weight = read_metadata(files).acquisition.body_weight
        assert weight == (None if stated in (None, "n/a") else pytest.approx(float(stated)))  # type: ignore[arg-type]


@pytest.mark.parametrize("dataset", READ)
def test_every_blood_table_is_read_cell_by_cell(real_data: Path, dataset: str) -> None:
    for files in scans(real_data, dataset):
        read = {(each.source, each.arterial): each for each in read_blood(files, read_metadata(files)).recordings}
        for role, (uri, *described) in files.files.items():
            if not role.startswith("blood/"):
                continue
            if not described:
                assert "has no JSON sidecar" in read[uri, True].refused
                continue
            _assert_cells(Path(uri), json.loads(Path(described[-1]).read_text()), read)


def _assert_cells(path: Path, fields: dict[str, dict[str, str]], read: dict[tuple[str, bool], object]) -> None:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    of_vein = "venous" in path.name
    for prefix, arterial in (("", not of_vein), ("venous_", False)):
        for name, column in COLUMNS.items():
            if prefix + column not in rows[0]:
                continue
            recording = read[str(path), arterial]
            factor = FACTOR[fields[prefix + column]["Units"].lower()]
            cells = [
                float("nan") if row[prefix + column] in ("n/a", "") else float(row[prefix + column]) for row in rows
            ]
            np.testing.assert_allclose(getattr(recording, name), factor * np.array(cells), rtol=1e-12)
            times = [float(row["time"]) * FACTOR[fields["time"]["Units"].lower()] for row in rows]
            np.testing.assert_allclose(recording.time, times)  # type: ignore[attr-defined]
