"""Maps of images in NumPy, xarray and dask: one result, known truth, laziness and refusals."""

from pathlib import Path
from typing import Any

import dask
import dask.array as da
import nibabel as nib
import numpy as np
import pytest
import xarray as xr

import dlif_core as dlif
from dlif_core.errors import CurveError, DlifError, FrameTimingError, ImageError, UnitError
from tests.unit.api.tables import BLOOD, TRUTH, curves, influx, write_dataset
from tests.unit.kinetics.truth import F18, MOUSE

INFLUX = np.array([influx(k) for k in TRUTH.values()])
SHAPE = (2, 3, 4)
#: Which of both tissues every voxel is of.
TISSUE = np.arange(24).reshape(SHAPE) % 2
GIVEN: dict[str, Any] = {"timing": MOUSE, "units": "Bq/mL", "radionuclide": "F18", "input_function": BLOOD}


def image() -> np.ndarray:
    """Noise-free voxels of the two tissues [Bq/mL]."""
    return np.array(list(curves().values())).T[:, TISSUE]


def array(data: Any) -> xr.DataArray:
    """An xarray image that states all about itself."""
    coords = {
        "frame_start": ("frame", MOUSE.start),
        "frame_duration": ("frame", MOUSE.duration),
        "z": [10.0, 12.0],
        "x": ("x", [1.0, 2, 3, 4], {"units": "mm"}),
    }
    attrs = {"units": "Bq/mL", "half_life": F18, "tracer": "FDG"}
    return xr.DataArray(data, dims=("frame", "z", "y", "x"), coords=coords, attrs=attrs)


class TestKnownTruth:
    def test_of_numpy(self) -> None:
        maps = dlif.fit_image(image(), "2tcm-irreversible", **GIVEN)
        np.testing.assert_allclose(maps["Ki"], INFLUX[TISSUE], rtol=1e-5)
        assert maps["Ki"].dims == ("z", "y", "x")
        assert (maps["status"] == dlif.FitStatus.CONVERGED).all()
        assert maps["status"].dtype == np.uint8

    def test_of_a_delayed_input(self) -> None:
        """The delay of the image is found and corrected, as the study does it."""
        early = BLOOD.shifted(-12)
        time, whole_blood, plasma = (
            np.append(values, last)
            for values, last in (
                (early.time, MOUSE.end[-1]),
                (early.whole_blood, early.whole_blood[-1]),
                (early.plasma, early.plasma[-1]),
            )
        )
        late = GIVEN | {"input_function": dlif.InputFunction(time, whole_blood, plasma, "early")}
        maps = dlif.fit_image(image(), "2tcm-irreversible", delay="image", **late)
        assert maps.attrs["delay"] == pytest.approx(12, abs=0.2)
        vascular = np.array([k["vB"] for k in TRUTH.values()])
        np.testing.assert_allclose(maps["vB"], vascular[TISSUE], rtol=0.05)

    def test_with_what_is_to_be_found(self) -> None:
        maps = dlif.fit_image(image(), "patlak", t_star="find", **GIVEN)
        assert maps.attrs["t_star"] >= 0
        np.testing.assert_allclose(maps["Ki"], (0.95 * INFLUX)[TISSUE], rtol=0.05)
        found = dlif.fit_image(image(), "2tcm-irreversible", rates="find", **GIVEN)
        np.testing.assert_allclose(found["Ki"], INFLUX[TISSUE], rtol=1e-4)


class TestOneResult:
    def test_of_all_kinds_of_images(self) -> None:
        expected = dlif.fit_image(image(), "2tcm-irreversible", **GIVEN)
        lazy = da.from_array(image(), chunks=(10, 1, 2, 3))
        for other in (
            dlif.fit_image(lazy, "2tcm-irreversible", **GIVEN).compute(),
            dlif.fit_image(array(image()), "2tcm-irreversible", input_function=BLOOD).drop_vars(["z", "x"]),
            dlif.fit_image(array(lazy), "2tcm-irreversible", input_function=BLOOD).compute().drop_vars(["z", "x"]),
            dlif.fit_image(1e-3 * image(), "2tcm-irreversible", **GIVEN | {"units": "kBq/mL"}),
        ):
            xr.testing.assert_allclose(expected[["K1", "Ki", "vB"]], other[["K1", "Ki", "vB"]], rtol=1e-6)
            np.testing.assert_array_equal(expected["status"], other["status"])

    def test_with_the_uncertainty_of_the_input_function(self) -> None:
        """Variables with a dimension of their own before those of space go through blocks of dask too."""
        scales = np.array([0.9, 1.0, 1.1, 1.05])[:, None]
        uncertain = dlif.InputFunction(
            BLOOD.time, BLOOD.whole_blood, BLOOD.plasma, "own", samples=scales * BLOOD.whole_blood
        )
        given = GIVEN | {"input_function": uncertain, "t_star": 10}
        whole = dlif.fit_image(image(), "patlak", **given)
        lazy = dlif.fit_image(da.from_array(image(), chunks=(42, 1, 3, 2)), "patlak", **given)
        assert whole["Ki_input_factor"].dims == lazy["Ki_input_factor"].dims == ("factor", "z", "y", "x")
        xr.testing.assert_allclose(whole, lazy.compute())

    def test_whatever_the_order_of_named_dimensions(self) -> None:
        turned = array(image()).transpose("x", "frame", "y", "z")
        maps = dlif.fit_image(turned, "patlak", t_star=10, input_function=BLOOD)
        expected = dlif.fit_image(image(), "patlak", t_star=10, **GIVEN)
        np.testing.assert_allclose(maps["Ki"].transpose("z", "y", "x"), expected["Ki"])

    def test_of_named_dimensions_have_the_axes_of_an_image(self) -> None:
        turned = array(image()).transpose("x", "frame", "y", "z")
        assert dlif.from_arrays(turned).image.shape == image().shape

    @pytest.mark.parametrize("unit", ["min", "span"])
    def test_with_frames_in_other_units(self, unit: str) -> None:
        given, times = array(image()), {"frame_start": MOUSE.start, "frame_duration": MOUSE.duration}
        for name, seconds in times.items():
            values = seconds / 60 if unit == "min" else (1000 * seconds).astype("timedelta64[ms]")
            given = given.assign_coords({name: ("frame", values, {"units": "min"} if unit == "min" else {})})
        assert dlif.from_arrays(given).timing == MOUSE

    def test_with_frames_that_contradict_the_timing_are_refused(self) -> None:
        moved = dlif.FrameTiming(MOUSE.start + 10, MOUSE.duration)
        with pytest.raises(FrameTimingError, match="timing is not that of the array's coordinates"):
            dlif.fit_image(array(image()), "patlak", t_star=10, input_function=BLOOD, timing=moved)

    def test_with_attributes_as_files_hold_them(self) -> None:
        given = array(image())
        given.attrs["half_life"] = np.array([6586])
        assert dlif.from_arrays(given).acquisition.half_life == 6586

    def test_of_half_precision(self) -> None:
        half = (image() / 1e3).astype(np.float16)
        maps = dlif.fit_image(half, "patlak", t_star=10, **GIVEN | {"units": "kBq/mL"})
        expected = dlif.fit_image(image(), "patlak", t_star=10, **GIVEN)
        np.testing.assert_allclose(maps["Ki"], expected["Ki"], rtol=5e-3)

    def test_of_a_masked_array(self) -> None:
        hidden = np.ma.masked_array(image(), np.zeros(image().shape, bool))
        hidden.data[:, 0, 0, 0] = 1e9
        hidden.mask[:, 0, 0, 0] = True
        maps = dlif.fit_image(hidden, "patlak", t_star=10, **GIVEN)
        expected = dlif.fit_image(image(), "patlak", t_star=10, **GIVEN)
        assert np.isnan(maps["Ki"][0, 0, 0])
        np.testing.assert_allclose(maps["Ki"].values.ravel()[1:], expected["Ki"].values.ravel()[1:], rtol=0.01)

    def test_keeps_coordinates(self) -> None:
        maps = dlif.fit_image(array(image()), "patlak", t_star=10, input_function=BLOOD)
        np.testing.assert_array_equal(maps["z"], [10, 12])
        assert maps["x"].attrs == {"units": "mm"}
        assert set(maps.coords) == {"z", "x"}


class TestDask:
    def test_stays_lazy_with_all_frames_in_a_block(self) -> None:
        lazy = da.from_array(image(), chunks=(10, 1, 2, 4))
        maps = dlif.fit_image(lazy, "patlak", t_star=10, **GIVEN)
        assert all(dask.is_dask_collection(variable.data) for variable in maps.data_vars.values())
        assert maps["Ki"].data.chunks == ((1, 1), (2, 1), (4,))

    def test_fits_a_block_once_for_all_maps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from dlif_core.kinetics import VoxelFit

        blocks: list[tuple[int, ...]] = []
        fit = VoxelFit.fit

        def counted(self: VoxelFit, activity: np.ndarray) -> Any:
            blocks.append(activity.shape)
            return fit(self, activity)

        maps = dlif.fit_image(da.from_array(image(), chunks=(42, 1, 3, 4)), "patlak", t_star=10, **GIVEN)
        monkeypatch.setattr(VoxelFit, "fit", counted)
        maps.compute(scheduler="synchronous")
        assert blocks == [(42, 12), (42, 12)]

    def test_splits_blocks_that_would_be_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from dlif_core.api import images

        monkeypatch.setattr(images, "_LARGEST_BLOCK", 42 * 8 * 6)
        maps = dlif.fit_image(da.from_array(image(), chunks=(42, 2, 3, 4)), "patlak", t_star=10, **GIVEN)
        assert np.prod(maps["Ki"].data.chunksize) <= 6


def test_air_around_the_body_is_no_fault_of_units() -> None:
    """Nine tenths of air, and a tissue of little uptake."""
    voxels = np.zeros((42, 10, 3, 4))
    voxels[:, :1] = 0.02 * image()[:, :1]
    assert np.isfinite(dlif.fit_image(voxels, "patlak", t_star=10, **GIVEN)["Ki"][0]).all()


class TestVoxelsThatCanNotBeFitted:
    def test_have_a_status(self) -> None:
        voxels = image()
        voxels[:, 0, 0, 0] = 0
        voxels[3, 0, 0, 1] = np.nan
        maps = dlif.fit_image(voxels, "patlak", t_star=10, **GIVEN)
        assert maps["status"].values[0, 0, :2].tolist() == [dlif.FitStatus.MASKED, dlif.FitStatus.NOT_FINITE]
        assert np.isfinite(maps["Ki"].values[0, 0, 2:]).all()


class TestOnDisk:
    def test_is_read_as_it_is_needed(self, tmp_path: Path) -> None:
        write_dataset(tmp_path)
        volume = nib.Nifti1Image(1e-3 * image().astype(np.float32).T, np.diag([0.5, 0.5, 1, 1]))
        nib.save(volume, tmp_path / "sub-01" / "pet" / "sub-01_pet.nii.gz")
        scan = dlif.open_scan(tmp_path, "sub-01")
        maps = dlif.fit_image(scan, "2tcm-irreversible")
        np.testing.assert_allclose(maps["Ki"], INFLUX[TISSUE], rtol=1e-3)
        assert np.array(maps.attrs["affine"])[0, 0] == 0.5
        assert maps.attrs["input_function"] == "arterial"


@pytest.mark.parametrize(
    ("change", "settings", "kind", "word"),
    [
        ({"model": "1tcm"}, {"delay": "region", "t_star": None}, dlif.ConfigurationError, "no delay of their own"),
        ({"image": image()[:30]}, {}, ImageError, "30, 2, 3, 4. for 42 frames"),
        ({"image": image().T}, {}, ImageError, "first dimension is that of the frames"),
        ({"image": image()[:, 0]}, {}, ImageError, "it has the shape"),
        ({"image": image()[:, :0]}, {}, ImageError, "it has the shape"),
        ({"image": image()[:, 0, 0]}, {}, dlif.InputError, "transposed|no image"),
        ({"image": image().astype(str)}, {}, CurveError, "not numbers"),
        ({"image": image().astype(complex)}, {}, CurveError, "not numbers"),
        ({"image": None}, {}, dlif.InputError, "not numbers|shape"),
        ({"units": None}, {}, UnitError, "unit is not stated"),
        ({"image": 1e-4 * image()}, {}, UnitError, "times that of blood; 0.0005 to 100 is possible"),
        ({"units": "MBq/mL"}, {}, UnitError, "times that of blood"),
        ({"timing": None}, {}, dlif.InputError, "frame times are unknown"),
        ({"timing": 60}, {}, dlif.InputError, "timing is a int"),
        ({"radionuclide": None}, {}, dlif.InputError, "half-life of the radionuclide is unknown"),
        ({"radionuclide": "Xx99"}, {}, dlif.InputError, "not a radionuclide"),
        ({"input_function": None}, {}, dlif.InputError, "no input function"),
        ({"input_function": 5}, {}, dlif.ConfigurationError, "no input function but a int"),
        ({"model": "2tcm-common-k1k2"}, {"t_star": None}, dlif.ConfigurationError, "regions only"),
    ],
)
def test_what_can_not_be_is_refused(
    change: dict[str, Any], settings: dict[str, Any], kind: type[DlifError], word: str
) -> None:
    given = {"image": image(), "model": "patlak", "t_star": 10} | GIVEN | change | settings
    with pytest.raises(kind, match=word):
        dlif.fit_image(**given)


def test_a_scan_states_itself() -> None:
    scan = dlif.from_arrays(image(), MOUSE, units="Bq/mL", radionuclide="F18", blood=BLOOD)
    with pytest.raises(dlif.ConfigurationError, match="units can't be given for a scan"):
        dlif.fit_image(scan, "patlak", t_star=10, units="kBq/mL")
    regions = dlif.from_arrays(image()[:, 0, 0].T, MOUSE, units="Bq/mL", radionuclide="F18", blood=BLOOD)
    with pytest.raises(ImageError, match="the scan has no image"):
        dlif.fit_image(regions, "patlak", t_star=10)
