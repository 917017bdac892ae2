"""A scan as a release holds it is read again as it was, whatever blood it has; its texts are of lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.catalog.card import release_card, write_card
from dlif_core.catalog.new_names import NameKey
from dlif_core.catalog.release import release_at
from dlif_core.catalog.released_scan import released_input_function, released_scan
from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.ingest import find_scans, open_scan
from dlif_core.ingest.bids.writing import write_dataset, write_participants, write_scan
from dlif_core.ingest.reader import IngestedScan
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves
from tests.unit.catalog.rows import row

NAME = "sub-abc_ses-01"
SCAN = DynamicScan(
    timing=FrameTiming([-20.0, 0.0, 10.0, 600.0], [20.0, 10.0, 590.0, 3000.0]),
    acquisition=Acquisition("FDG", 6586.2, 7.3e6, 0.0213, species="mouse", injection_start=0.0),
    regions=RegionCurves(("brain", "left kidney"), [[0, 1.1e4, 2e4, 3e4], [0, 5e5, 1e5, 9876.54321]], [np.nan, np.nan]),
)
SECONDS = np.arange(50.0)
AUTOSAMPLER = BloodRecording(
    "Dr Doe's autosampler", True, SECONDS, whole_blood=1e6 * np.exp(-SECONDS / 60), dispersion=5.0, source="/home/doe"
)
MANUAL = BloodRecording("7 March", True, np.array([5.0, 60.0, 3000.0]), plasma=np.array([9e5, np.nan, 1e5]))
VENOUS = BloodRecording("venous line", False, np.array([30.0, 2000.0]), whole_blood=np.array([3e5, 1.2e5]))
REFUSED = BloodRecording("bad", True, np.empty(0), refused="/home/doe/blood.tsv: no unit")


@contextmanager
def released(root: Path, scan: DynamicScan, *recordings: BloodRecording) -> Iterator[IngestedScan]:
    words = {"Manufacturer": "Siemens of Jane Doe", "ReconMethodName": "OSEM 4i 7 March"}
    write_dataset(root, "release")
    write_participants(root, {"sub-abc": {"species": scan.acquisition.species or "n/a"}})
    write_scan(root, NAME, released_scan(scan, recordings, words))
    (files,) = find_scans(str(root))
    with open_scan(files) as found:
        yield found


def test_a_scan_is_read_as_it_was(tmp_path: Path) -> None:
    with released(tmp_path, SCAN) as found:
        assert found.scan.acquisition == SCAN.acquisition
        np.testing.assert_array_equal(found.scan.timing.start, SCAN.timing.start)
        np.testing.assert_array_equal(found.scan.timing.duration, SCAN.timing.duration)
        np.testing.assert_array_equal(found.scan.regions.activity, SCAN.regions.activity)
        assert found.scan.regions.names == SCAN.regions.names
        assert found.blood == ()


def test_a_scan_without_dose_weight_species_and_tracer_is_read(tmp_path: Path) -> None:
    bare = DynamicScan(SCAN.timing, Acquisition("", 1223.4, injection_start=0.0), SCAN.regions)
    with released(tmp_path, bare) as found:
        acquisition = found.scan.acquisition
        assert (acquisition.injected_activity, acquisition.body_weight, acquisition.species) == (None, None, "")


def test_blood_is_read_as_it_was_under_plain_names(tmp_path: Path) -> None:
    with released(tmp_path, SCAN, AUTOSAMPLER, MANUAL, VENOUS, REFUSED) as found:
        blood = {one.name: one for one in found.blood}
    assert set(blood) == {"autosampler", "manual", "manualvenous"}
    for name, before in (("autosampler", AUTOSAMPLER), ("manual", MANUAL), ("manualvenous", VENOUS)):
        one = blood[name]
        assert (one.arterial, one.dispersion, one.is_automatic) == (
            before.arterial,
            before.dispersion,
            before.is_automatic,
        )
        np.testing.assert_array_equal(one.time, before.time)
        for column in ("whole_blood", "plasma"):
            assert (getattr(one, column) is None) == (getattr(before, column) is None)
            if getattr(one, column) is not None:
                np.testing.assert_array_equal(getattr(one, column), getattr(before, column))
    texts = "".join(path.read_text() for path in tmp_path.rglob("*.*") if path.is_file())
    assert not any(word in texts for word in ("Doe", "March", "home", "no unit"))
    assert '"Manufacturer": "Siemens"' in texts
    assert '"ReconMethodName": "OSEM 4i"' in texts


def test_several_recordings_of_a_kind_are_numbered() -> None:
    blood = released_scan(SCAN, (MANUAL, VENOUS, MANUAL), {}).blood
    assert list(blood) == ["manual1", "manualvenous", "manual2"]


def test_an_input_function_names_no_file_and_no_model() -> None:
    made = {
        "model": {"name": "of Jane Doe", "digest": "d" * 64},
        "scope": {"state": "doubtful", "reasons": ["a reason"], "score": 1.5},
        "level": 0.9,
        "files": ["/home/doe/a.tsv"],
        "options": {"model": "/home/doe"},
    }
    curve = InputFunction([0, 1], [0, 5], [0, 6], "learned", lower=[0, 4], upper=[0, 7], provenance=made)
    table = released_input_function(curve)
    assert table.columns == {
        "time": [0, 1],
        "whole_blood_radioactivity": [0, 5],
        "AIF": [0, 6],
        "lower": [0, 4],
        "upper": [0, 7],
    }
    told = {name: value for name, value in table.fields.items() if name not in table.columns}
    assert told == {
        "Method": "learned",
        "Model": {"digest": "d" * 64},
        "Scope": {"state": "doubtful", "score": 1.5},
        "Level": 0.9,
    }


def test_the_card_names_what_is_not_given(tmp_path: Path) -> None:
    rows = [row(0, regions=["a|b"], species=None), row(1, tracer="FDG", manufacturer="Siemens", scanner="Inveon")]
    absent = ("tracer", "manufacturer", "scanner", "reconstruction", "has_plasma", "has_parent_fraction")
    levels = ("assumed", "doubtful", "refused")
    full = [{**dict.fromkeys((*absent, *levels)), **one} for one in rows]
    card = release_card(full, ["sub-x_ses-01", "sub-x_ses-02"])
    assert (card["scans"], card["animals"]) == (2, 1)
    assert card["species"] == {"not given": 1, "rat": 1}
    assert card["scanners"] == {"Siemens Inveon": 1, "not given": 1}
    write_card(tmp_path, full, ["sub-x_ses-01", "sub-x_ses-02"])
    assert "| a\\|b | 1 |" in (tmp_path / "README.md").read_text()
    assert json.loads((tmp_path / "card.json").read_text()) == card


class TestNameKey:
    def test_names_tell_nothing_and_are_kept(self, tmp_path: Path) -> None:
        key = NameKey({}, {})
        first = [key.name("study:sub-01", f"sub-01_ses-{session}") for session in ("b", "a")]
        assert [name.partition("_")[2] for name in first] == ["ses-01", "ses-02"]
        assert key.name("other:sub-01", "sub-01_ses-a").partition("_")[0] != first[0].partition("_")[0]
        key.write(tmp_path / "key.json")
        again = NameKey.read(tmp_path / "key.json")
        assert again.name("study:sub-01", "sub-01_ses-b") == first[0]
        assert again.name("study:sub-01", "sub-01_ses-c").endswith("_ses-03")

    def test_no_two_animals_have_one_name(self) -> None:
        key = NameKey({}, {})
        names = {key.name(f"s:sub-{number}", f"sub-{number}") for number in range(500)}
        assert len(names) == 500


@pytest.mark.parametrize(("folder", "key"), [("s3://a/b", "key.json"), ("new", "s3://a/key.json")])
def test_a_release_is_no_url(folder: str, key: str) -> None:
    with pytest.raises(ConfigurationError, match="on this machine"):
        release_at(folder, key)
