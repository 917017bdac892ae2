"""Whatever the public functions are given, they work or raise an error of dlif's own, never one from inside.

Tables of values that are wrong for sure name the error; properties throw together anything.
"""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import dlif_core as dlif
from dlif_core.errors import DlifError
from tests.unit.api.tables import BLOOD, TRUTH, curves
from tests.unit.kinetics.truth import MOUSE

CURVES = np.array(list(curves().values()))
GIVEN: dict[str, Any] = {"units": "Bq/mL", "blood": BLOOD, "radionuclide": "F18"}
SCAN = dlif.from_arrays(CURVES, MOUSE, names=list(TRUTH), **GIVEN)
IMAGE = dlif.from_arrays(CURVES.T[:, None, None, :], MOUSE, **GIVEN)

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)
arrays_of_any = arrays(
    st.sampled_from([np.dtype(kind) for kind in ("f8", "f4", "i4", "?", "U3", "c16", "M8[s]", "O")]),
    array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    fill=st.nothing(),
)
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    numbers,
    st.text(max_size=6),
    st.lists(numbers, max_size=5),
    st.tuples(numbers, numbers),
    st.dictionaries(st.text(max_size=3), numbers, max_size=2),
    arrays_of_any,
    st.sampled_from([SCAN, BLOOD, MOUSE, pd.DataFrame({"frame_start": [0.0]}), xr.DataArray([1.0]), object(), dlif]),
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def sound_or_refused(call: Callable[..., object], *args: Any, **keywords: Any) -> None:
    """The call returns, or raises an error of dlif's own; any other goes through."""
    try:
        call(*args, **keywords)
    except DlifError:
        return


class TestAnything:
    @few
    @given(anything, st.one_of(st.none(), st.just(MOUSE), anything), anything)
    def test_as_arrays(self, activity: object, timing: object, units: object) -> None:
        sound_or_refused(dlif.from_arrays, activity, timing, units=units, radionuclide="F18")

    @few
    @given(anything, anything, anything, anything)
    def test_beside_an_array(self, names: object, blood: object, nuclide: object, acquisition: object) -> None:
        for given_ in ({"names": names}, {"blood": blood}, {"radionuclide": nuclide}, {"acquisition": acquisition}):
            sound_or_refused(dlif.from_arrays, CURVES, MOUSE, **GIVEN | given_)

    @few
    @given(anything, anything, anything)
    def test_as_tables(self, table: object, blood: object, units: object) -> None:
        sound_or_refused(dlif.read_curves, table, blood, units=units, radionuclide="F18")

    @few
    @given(anything, anything, anything, anything, anything)
    def test_as_blood(self, time: object, whole_blood: object, plasma: object, units: object, end: object) -> None:
        sound_or_refused(dlif.blood, time, whole_blood, plasma, units="kBq/mL", scan_end=60)
        sound_or_refused(
            dlif.blood, [0, 1, 2, 3, 9], [0, 9, 5, 4, 3], parent_fraction=plasma, units=units, scan_end=end
        )
        sound_or_refused(dlif.blood, [0, 1, 2], [0, 9, 5], units="kBq/mL", scan_end=9, time_unit=units, tracer=end)

    @few
    @given(anything, anything, anything)
    def test_as_scan_model_and_input_of_a_fit(self, scan: object, model: object, curve: object) -> None:
        for call in (dlif.fit, dlif.fit_image):
            sound_or_refused(call, scan, "suv", window=(10, 40))
            sound_or_refused(call, IMAGE, model)
            sound_or_refused(call, IMAGE, "patlak", t_star=10, input_function=curve)
        sound_or_refused(dlif.compare_models, SCAN, model)

    @few
    @given(anything, anything)
    def test_as_method_and_option(self, scan: object, method: object) -> None:
        sound_or_refused(dlif.estimate_input_function, scan, "arterial")
        sound_or_refused(dlif.estimate_input_function, SCAN, method)
        sound_or_refused(dlif.estimate_input_function, SCAN, "population", scale_sample=method)

    @few
    @given(st.sampled_from(["t_star", "blood_volume", "delay", "weights", "weight_limits", "pilot_region"]), anything)
    def test_as_setting_of_a_plot(self, name: str, value: object) -> None:
        sound_or_refused(dlif.fit_image, IMAGE, "patlak", **{"t_star": 10} | {name: value})

    @settings(few, max_examples=15)
    @given(st.sampled_from(["rates", "blood_volume", "delay", "weights", "intervals", "t_star", "window"]), anything)
    def test_as_setting_of_a_compartment_model(self, name: str, value: object) -> None:
        sound_or_refused(dlif.fit, SCAN, "1tcm", **{name: value})

    @few
    @given(anything, anything, anything)
    def test_as_values(self, one: object, two: object, three: object) -> None:
        sound_or_refused(dlif.FrameTiming, one, two)
        sound_or_refused(dlif.InputFunction, one, two, three, "own")
        sound_or_refused(dlif.RegionCurves, one, two, three)
        sound_or_refused(dlif.Acquisition, "FDG", one, two, three)
        sound_or_refused(dlif.FitSettings, "patlak", t_star=one, blood_volume=two)

    @few
    @given(anything)
    def test_as_folder(self, folder: object) -> None:
        sound_or_refused(dlif.open_scan, f"no-such-folder/{type(folder).__name__}", folder)


def frames(number: int) -> dlif.FrameTiming:
    return dlif.FrameTiming(MOUSE.start[:number], MOUSE.duration[:number])


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: dlif.from_arrays(CURVES, frames(33), **GIVEN), "for 33 frames"),
        (lambda: dlif.from_arrays(CURVES.T, MOUSE, **GIVEN), "look transposed"),
        (lambda: dlif.from_arrays(CURVES[None], MOUSE, **GIVEN), "has the shape"),
        (lambda: dlif.from_arrays(CURVES[:0], MOUSE, **GIVEN), "has the shape"),
        (lambda: dlif.from_arrays([[1.0], [1.0, 2.0]], MOUSE, **GIVEN), "differ in length"),
        (lambda: dlif.from_arrays(CURVES, MOUSE, **GIVEN | {"acquisition": dlif.Acquisition("FDG", 1)}), "both given"),
        (lambda: dlif.Acquisition("FDG", half_life=0), "half_life is 0"),
        (lambda: dlif.from_arrays(CURVES, MOUSE, names=["a"], **GIVEN), "1 region names"),
        (lambda: dlif.from_arrays(CURVES.T[:, None, None], MOUSE, affine=np.eye(3), **GIVEN), "affine"),
        (lambda: dlif.fit(dlif.from_arrays(CURVES[:, :1], frames(1), **GIVEN), "1tcm"), ""),
        (lambda: dlif.fit(dlif.from_arrays(CURVES[:, :1], frames(1), **GIVEN), "patlak", t_star=0), ""),
        (lambda: dlif.fit(dlif.from_arrays(CURVES[:, :1], frames(1), **GIVEN), "logan", t_star="find"), ""),
        (lambda: dlif.estimate_input_function(SCAN, "arteriall"), "Did you mean 'arterial'"),
        (lambda: dlif.estimate_input_function(SCAN, "arterial"), "no blood was recorded"),
        (lambda: dlif.estimate_input_function(SCAN, "image-derived"), "image"),
        (lambda: dlif.estimate_input_function(SCAN, "learned"), ""),
        (lambda: dlif.fit(SCAN, "1tcm", radionuclide="F18"), "dlif.read_curves or dlif.from_arrays"),
        (lambda: dlif.fit(SCAN, "srtm", reference="cortexx"), "Did you mean 'cortex'"),
        (lambda: dlif.compare_models(SCAN, ["logan", "ma1"], t_star=10), "logan has no information criterion"),
        (lambda: dlif.compare_models(SCAN, ["1tcm", "spectral"]), "have one: .*srtm, .*1tcm, "),
        (lambda: dlif.open_store("no-such-store"), "no dlif store"),
        (lambda: dlif.open_scan("no-such-folder"), "no such folder"),
    ],
)
def test_known_faults_are_named(call: Callable[[], object], word: str, tmp_path: Path) -> None:
    with pytest.raises(DlifError, match=word or None):
        call()


def test_a_spreadsheet_is_not_read_as_text(tmp_path: Path) -> None:
    file = tmp_path / "tacs.xlsx"
    file.write_bytes(b"PK\x03\x04")
    with pytest.raises(dlif.InputError, match=r"tacs.xlsx: it is a spreadsheet.*read_excel"):
        dlif.read_curves(file)


@pytest.mark.parametrize("model", list(dlif.MODELS))
def test_no_model_breaks_on_a_scan_of_one_frame(model: str) -> None:
    one = dlif.from_arrays(CURVES[:, -1:], dlif.FrameTiming([2430], [300]), names=list(TRUTH), **GIVEN)
    needed = {"t_star": 10.0, "k2_prime": 0.1, "window": (40.5, 45.5)}
    options: dict[str, Any] = {name: needed[name] for name in dlif.MODELS[model].needed_options}
    if dlif.MODELS[model].needs_reference:
        options["reference"] = "striatum"
    sound_or_refused(dlif.fit, one, model, **options)


@pytest.mark.parametrize("accept", ["uptake-range", ["scan-to-short"], ["no-activity"], ["parameter-range"], [5]])
def test_only_doubts_about_data_can_be_accepted(accept: Any) -> None:
    calls: tuple[Callable[[], object], ...] = (
        lambda: dlif.from_arrays(CURVES, MOUSE, accept=accept, **GIVEN),
        lambda: dlif.from_arrays(CURVES.T[:, None, None, :], MOUSE, accept=accept, **GIVEN),
        lambda: dlif.read_curves(
            pd.DataFrame({"frame_start": MOUSE.start, "frame_end": MOUSE.end, "a": CURVES[0]}), accept=accept, **GIVEN
        ),
        lambda: dlif.open_scan("no-such-folder", "sub-01", accept=accept),
    )
    for call in calls:
        with pytest.raises(dlif.ConfigurationError, match="accept"):
            call()


TYPED = "megawhats"


@pytest.mark.parametrize(
    "call",
    [
        lambda table: dlif.blood([0, 1, 2], [0, 1, 2], units=TYPED, scan_end=60),
        lambda table: dlif.blood([0, 1, 2], [0, 1, 2], units="kBq/mL", time_unit=TYPED, scan_end=60),
        lambda table: dlif.read_curves(table, units=TYPED, radionuclide="F18"),
        lambda table: dlif.read_curves(table, units="kBq/mL", time_unit=TYPED, radionuclide="F18"),
        lambda table: dlif.read_curves(table, units="kBq/mL", radionuclide=TYPED),
    ],
    ids=["units of blood", "time_unit of blood", "units", "time_unit", "radionuclide"],
)
def test_what_was_typed_is_shown(call: Callable[[str], object], tmp_path: Path) -> None:
    table = tmp_path / "curves.tsv"
    table.write_text("start\tend\tcortex\n0\t60\t1\n60\t120\t2\n120\t600\t3\n")
    with pytest.raises(dlif.DlifError, match=f"'{TYPED}' is not a"):
        call(str(table))
