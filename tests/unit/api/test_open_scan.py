"""Scans of a dataset by name."""

from pathlib import Path

import numpy as np
import pytest

import dlif_core as dlif
from dlif_core.errors import MissingInputError
from tests.unit.api.tables import curves, write_dataset


@pytest.mark.parametrize("name", ["sub-01", None])
def test_a_scan_is_found_by_its_name(tmp_path: Path, name: str | None) -> None:
    write_dataset(tmp_path)
    scan = dlif.open_scan(tmp_path, name)
    np.testing.assert_allclose(scan.regions.activity, list(curves().values()), rtol=1e-9)
    assert [recording.name for recording in scan.blood] == ["manual"]
    assert (scan.acquisition.species, scan.acquisition.body_weight) == ("mouse", 0.022)


def test_several_scans_need_a_name(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    (tmp_path / "sub-02" / "pet").mkdir(parents=True)
    sidecar = (tmp_path / "sub-01" / "pet" / "sub-01_pet.json").read_text()
    (tmp_path / "sub-02" / "pet" / "sub-02_pet.json").write_text(sidecar)
    with pytest.raises(dlif.InputError, match="2 scans are meant") as caught:
        dlif.open_scan(tmp_path)
    assert caught.value.hint == "Name one of sub-01, sub-02."
    assert dlif.open_scan(str(tmp_path), "sub-01").regions.names == ("cortex", "striatum")
    with pytest.raises(dlif.InputError, match="neither an image nor region curves"):
        dlif.open_scan(tmp_path, "sub-02")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="there is no PET-BIDS scan"):
        dlif.open_scan(tmp_path)
    write_dataset(tmp_path)
    with pytest.raises(MissingInputError, match="there is no scan 'sub-07'") as caught:
        dlif.open_scan(tmp_path, "sub-07")
    assert caught.value.hint == "There are sub-01."
