"""Images in Zarr groups that xarray wrote."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from dlif_core.errors import DlifError, ImageError, InputError
from dlif_core.ingest import find_scans, open_scan
from dlif_core.ingest.arrays.reader import ArrayGroups
from dlif_core.ingest.conversion import ConvertingReader
from dlif_core.store import create_store
from tests.unit.ingest.arrays.groups import write_group
from tests.unit.ingest.phantom import ACTIVITY, DURATION, SECRETS, START, in_ras, mutations, said, scans

READER = ConvertingReader(ArrayGroups())


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("dims", [("frame", "z", "y", "x"), ("x", "y", "z", "frame")])
def test_a_group_holds_what_was_written(tmp_path: Path, version: int, dims: tuple[str, ...]) -> None:
    write_group(tmp_path / "mouse.zarr", version=version, dims=dims)
    (files,) = find_scans(str(tmp_path))
    with open_scan(files) as read:
        assert np.array_equal(in_ras(read.scan.activity[...], read.scan.affine), ACTIVITY)
        assert read.scan.timing.start.tolist() == list(START)
        assert read.scan.timing.duration.tolist() == list(DURATION)
        assert read.scan.acquisition.tracer == "FDG"
        assert (read.scan.affine @ [0, 0, 0, 1])[:3].tolist() == [-5.0, 7.0, 11.0]


def test_an_affine_counts_before_coordinates(tmp_path: Path) -> None:
    affine = np.array([[0, -2.0, 0, 1], [1.5, 0, 0, 2], [0, 0, 3.0, 3], [0, 0, 0, 1]])
    write_group(tmp_path / "mouse.zarr", affine=affine.tolist())
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert np.allclose(read.scan.affine, affine)


def test_units_of_times_and_places_count(tmp_path: Path) -> None:
    write_group(tmp_path / "mm.zarr")
    with xr.open_zarr(tmp_path / "mm.zarr", consolidated=False) as group:
        changed = group.load().assign_coords(
            frame_start=("frame", np.array(START) / 60.0, {"units": "min"}),
            x=("x", group.x.to_numpy() / 10.0, {"units": "cm"}),
        )
    changed.to_zarr(tmp_path / "cm.zarr", consolidated=False)
    one, two = scans(READER, tmp_path)
    with open_scan(one) as first, open_scan(two) as second:
        assert np.allclose(first.scan.affine, second.scan.affine)
        assert np.allclose(first.scan.timing.start, second.scan.timing.start)


def without(name: str) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda group: group.drop_vars(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("pet"), "0 variables with four dimensions"),
        (without("x"), "no coordinate 'x'"),
        (lambda group: group.assign(other=group.pet), "2 variables with four dimensions"),
        (lambda group: group.rename(z="slice"), "has the dimensions"),
        (lambda group: group.assign_coords(x=group.x**2), "no even steps"),
        (lambda group: group.assign_attrs(affine=[[1, 2], [3, 4]]), "no matrix"),
        (lambda group: group.assign_coords(x=group.x.assign_attrs(units="furlong")), "no known unit|not a known unit"),
        (without("frame_start"), "FrameTimesStart"),
    ],
)
def test_what_cannot_be_placed_is_refused(
    tmp_path: Path, change: Callable[[xr.Dataset], xr.Dataset], message: str
) -> None:
    write_group(tmp_path / "whole.zarr")
    with xr.open_zarr(tmp_path / "whole.zarr", consolidated=False) as group:
        change(group.load()).to_zarr(tmp_path / "data" / "part.zarr", consolidated=False)
    (files,) = scans(READER, tmp_path / "data")
    with pytest.raises(InputError, match=message), open_scan(files):
        pass


def test_a_store_of_dlif_is_no_data(tmp_path: Path) -> None:
    create_store(str(tmp_path / "out"))
    write_group(tmp_path / "out" / "scans" / "a.zarr")
    assert not READER.recognises(str(tmp_path / "out"))


def test_words_of_people_are_not_kept(tmp_path: Path) -> None:
    write_group(tmp_path / "mouse.zarr", patient=SECRETS[0], Manufacturer=SECRETS[1], comment=SECRETS[2])
    (files,) = scans(READER, tmp_path)
    with open_scan(files) as read:
        assert not any(secret in said(read) for secret in SECRETS)


def test_damaged_groups_are_refused_or_read(tmp_path: Path) -> None:
    write_group(tmp_path / "mouse.zarr")
    (files,) = scans(READER, tmp_path)
    for path in (tmp_path / "mouse.zarr").rglob("*"):
        if not path.is_file():
            continue
        sound = path.read_bytes()
        for spoilt in mutations(sound, 25):
            path.write_bytes(spoilt)
            try:
                with open_scan(files) as read:
                    assert np.isfinite(read.scan.activity[...]).all()
            except DlifError as fault:
                assert str(tmp_path) in str(fault)  # noqa: PT017
        path.write_bytes(sound)


def test_an_image_that_is_cut_short_names_the_group(tmp_path: Path) -> None:
    write_group(tmp_path / "mouse.zarr")
    (files,) = scans(READER, tmp_path)
    (chunk,) = [path for path in (tmp_path / "mouse.zarr" / "pet").rglob("0") if path.is_file()][:1]
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(ImageError, match=r"mouse\.zarr"), open_scan(files):
        pass
