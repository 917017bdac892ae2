"""Kinetics refuses what it can't fit, before the fit, with an error that says what is wrong, whatever it is given."""

import contextlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError, CurveError, DlifError, FrameTimingError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import (
    MODELS,
    FitContext,
    FitSettings,
    Preparation,
    VoxelFit,
    fit_regions,
    frame_weights,
    prepare,
)
from dlif_core.kinetics.denoising import halo, hypr_lr
from dlif_core.kinetics.selection import best_model, compare_regions, f_test, information_criteria
from tests.unit.kinetics.truth import (
    MOUSE,
    held,
    many_regions,
    mouse_input,
    ode_curve,
    one_region,
    scan_of,
    settings_for,
    settled_fit,
)

BLOOD = mouse_input()
CURVE = ode_curve(MOUSE, BLOOD, {"K1": 0.24, "k2": 0.4, "k3": 0.06, "vB": 0.05})
SCAN = scan_of(one_region(CURVE))
PATLAK = FitSettings("patlak", t_star=10)


def cut(curve: InputFunction, end: float) -> InputFunction:
    """The curve without what lies after a time [s]."""
    some = curve.time <= end
    return InputFunction(curve.time[some], curve.whole_blood[some], curve.plasma[some], method="cut")


class TestInputFunction:
    @pytest.mark.parametrize("model", [name for name, model in MODELS.items() if model.needs_input])
    def test_that_ends_before_the_scan_is_refused(self, model: str) -> None:
        for fit in (fit_regions, prepare):
            with pytest.raises(CurveError, match="ends at 1878 s, before the scan, which ends at 2730 s") as fault:
                fit(SCAN, cut(BLOOD, 1900), settings_for(model))
            assert "extrapolate" in fault.value.hint

    def test_may_end_as_early_as_files_round(self) -> None:
        """By less than 1 % of the last frame, which is 3 s here."""
        fit_regions(SCAN, cut(held(cut(BLOOD, 2600), 2728), 2728), PATLAK)
        with pytest.raises(CurveError):
            fit_regions(SCAN, held(cut(BLOOD, 2600), 2726), PATLAK)

    def test_that_starts_after_the_scan_is_refused(self) -> None:
        late = BLOOD.shifted(2800)
        for attempt in (lambda: fit_regions(SCAN, late, PATLAK), lambda: FitContext(MOUSE, np.ones(42), late)):
            with pytest.raises(CurveError, match="starts at 2830 s, after the scan"):
                attempt()

    def test_of_a_context_may_have_been_moved_by_a_delay_but_not_by_more(self) -> None:
        FitContext(MOUSE, np.ones(42), BLOOD.shifted(-30))
        with pytest.raises(CurveError, match="before the scan"):
            FitContext(MOUSE, np.ones(42), BLOOD.shifted(-40))

    def test_does_not_matter_to_a_model_that_needs_none(self) -> None:
        suv = FitSettings("suv", window=(20, 40))
        scan = scan_of(one_region(CURVE), suv_factor=4e-6)
        assert fit_regions(scan, cut(BLOOD, 900), suv).equals(fit_regions(scan, None, suv))


class TestSettings:
    @pytest.mark.parametrize("kind", [np.array, list, tuple, lambda values: [np.float32(value) for value in values]])
    def test_arrays_lists_and_numbers_of_numpy_are_plain_afterwards(self, kind: Callable[[Any], Any]) -> None:
        found = FitSettings("patlak", t_star=np.float64(10), weights=kind([1.0] * 42), weight_limits=kind([0.0, 9.0]))
        assert found == FitSettings("patlak", t_star=10.0, weights=(1.0,) * 42, weight_limits=(0.0, 9.0))
        assert json.loads(json.dumps(asdict(found)))["weights"] == [1.0] * 42
        assert fit_regions(SCAN, BLOOD, found).attrs["t_star"] == 10.0
        hash(found)

    @pytest.mark.parametrize(
        "weights", [(), (1, -1), (0, 0), (1, math.inf), (1, math.nan), ("a",), ((1, 2), (3, 4)), 3, None, (True,)]
    )
    def test_impossible_weights_are_refused(self, weights: Any) -> None:
        with pytest.raises(ConfigurationError, match="fit setting weights"):
            FitSettings("1tcm", weights=weights)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("model", ["1tcm"]),
            ("blood_volume", "a little"),
            ("blood_volume", True),
            ("blood_volume", math.nan),
            ("t_star", math.nan),
            ("t_star", math.inf),
            ("t_star", [1, 2]),
            ("delay", ["image"]),
            ("delay", 3),
            ("weight_limits", 1),
            ("weight_limits", (0.1,)),
            ("weight_limits", ("a", "b")),
            ("intervals", "yes"),
            ("pilot_region", 3),
            ("window", 3.0),
            ("rates", ("a", "b")),
        ],
    )
    def test_values_of_another_kind_are_refused(self, name: str, value: Any) -> None:
        given = {"model": "patlak", "t_star": 10.0} | {name: value}
        with pytest.raises(ConfigurationError, match=f"fit setting {name}"):
            FitSettings(**given)


class TestVoxels:
    def test_a_delay_of_its_own_is_not_fitted_to_a_voxel(self) -> None:
        with pytest.raises(ConfigurationError, match="delay must be known") as fault:
            VoxelFit(prepare(SCAN, BLOOD, FitSettings("1tcm", delay="region")))
        assert "delay: image" in fault.value.hint

    @pytest.mark.parametrize(
        ("model", "open_settings", "missing"),
        [
            ("patlak", {"t_star": "find"}, "t_star"),
            ("mrtm2", {"k2_prime": "find"}, "k2_prime"),
            ("1tcm", {"rates": "find"}, "rates"),
            ("1tcm", {"delay": "image"}, "delay"),
            ("1tcm-water", {}, "tau"),
            ("2tcm-liver", {"rates": "find"}, "rates and fA and kPV"),
        ],
    )
    def test_what_is_left_to_be_found_is_named(self, model: str, open_settings: dict[str, Any], missing: str) -> None:
        asked = settings_for(model, **open_settings)
        context = FitContext(MOUSE, np.ones(42), BLOOD, CURVE)
        with pytest.raises(ConfigurationError, match=f"{missing} must be known"):
            VoxelFit(Preparation(context, asked, asked))

    @pytest.mark.parametrize("settled", [{"t_star": "find"}, {"delay": "image", "t_star": 10.0}])
    def test_what_was_found_is_used(self, settled: dict[str, Any]) -> None:
        fit = VoxelFit(prepare(SCAN, BLOOD, FitSettings("patlak", **settled)))
        regional = fit_regions(SCAN, BLOOD, FitSettings("patlak", **settled))
        assert fit.fit(CURVE[:, None])["Ki"] == pytest.approx(regional["Ki"].to_numpy(), rel=1e-12)

    @pytest.mark.parametrize("shape", [(42,), (3, 42), (41, 3), (42, 2, 2, 2), ()])
    def test_curves_of_another_shape_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match=r"expected an array of shape \(42 frames, voxels\)"):
            settled_fit(FitContext(MOUSE, np.ones(42), BLOOD), PATLAK).fit(np.ones(shape))

    def test_no_voxels_give_no_results(self) -> None:
        found = settled_fit(FitContext(MOUSE, np.ones(42), BLOOD), PATLAK).fit(np.ones((42, 0)))
        assert {values.shape for values in found.values()} == {(0,)}


class TestContext:
    @pytest.mark.parametrize(
        ("weights", "words"),
        [
            (np.ones(33), "expected 42 weights, one for every frame, got 33"),
            (np.ones((42, 1)), r"expected 42 weights, one for every frame, got shape \(42, 1\)"),
            (np.full(42, np.inf), "not finite"),
            (-np.ones(42), "negative or all zero"),
            (np.zeros(42), "negative or all zero"),
            (["a"] * 42, "not numbers"),
        ],
    )
    def test_impossible_weights_are_refused(self, weights: Any, words: str) -> None:
        with pytest.raises(InputError, match=words):
            FitContext(MOUSE, weights, BLOOD)

    def test_a_reference_curve_has_one_value_for_every_frame(self) -> None:
        with pytest.raises(InputError, match="expected 42 points of the reference curve, one for every frame, got 30"):
            FitContext(MOUSE, np.ones(42), None, np.ones(30))


@pytest.mark.parametrize("model", MODELS)
def test_one_frame_is_fitted_or_refused(model: str) -> None:
    """A mean over a window needs no more than one; the others say that they need more."""
    one = FrameTiming([1200.0], [600.0])
    scan = scan_of(many_regions(np.array([[5.0], [7.0]])), one, suv_factor=4e-6)
    if model in ("suv", "suvr", "fur"):
        fit_regions(scan, BLOOD, settings_for(model))
    else:
        with pytest.raises(FrameTimingError, match="frame"):
            fit_regions(scan, BLOOD, settings_for(model))


#: Values of every wrong kind, and some sound ones.
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 50),
    st.floats(),
    st.text(max_size=6),
    st.lists(st.floats(), max_size=4),
    st.lists(st.floats(), max_size=4).map(np.array),
    st.lists(st.text(max_size=2), max_size=3),
    st.dictionaries(st.text(max_size=3), st.floats(), max_size=2),
    st.sampled_from(
        [
            SCAN,
            BLOOD,
            PATLAK,
            MOUSE,
            CURVE,
            CURVE[:, None],
            np.ones((42, 2, 2)),
            np.full((42, 2), np.nan),
            np.array([["a"] * 2] * 42),
            "find",
            "1tcm",
            "region",
            "image",
            object(),
            SimpleNamespace(time=[0, 1]),
            float,
            1j,
        ]
    ),
)

_FIT = settled_fit(FitContext(MOUSE, np.ones(42), BLOOD), PATLAK)
_REGIONS = fit_regions(SCAN, BLOOD, FitSettings("1tcm", weights="uniform"))

#: Public functions by name, each with arguments that are sound; one or two of them are replaced.
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "fit_regions": (fit_regions, {"scan": SCAN, "curve": BLOOD, "settings": PATLAK}),
    "prepare": (prepare, {"scan": SCAN, "curve": BLOOD, "settings": PATLAK}),
    "frame_weights": (frame_weights, {"scan": SCAN, "settings": PATLAK}),
    "FitContext": (
        FitContext,
        {"timing": MOUSE, "weights": np.ones(42), "input_function": BLOOD, "reference": CURVE, "suv_factor": 4e-6},
    ),
    "Preparation": (Preparation, {"context": _FIT.context, "settings": PATLAK, "asked": PATLAK}),
    "VoxelFit": (VoxelFit, {"prepared": _FIT.prepared, "chunk": 100}),
    "VoxelFit.fit": (_FIT.fit, {"activity": CURVE[:, None]}),
    "FitSettings": (FitSettings, asdict(FitSettings("patlak", t_star=10.0))),
    "FitSettings of compartments": (FitSettings, asdict(FitSettings("2tcm-reversible"))),
    "FitSettings with reference": (FitSettings, asdict(settings_for("srtm2"))),
    "compare_regions": (compare_regions, {"fits": {"a": _REGIONS, "b": _REGIONS}, "criterion": "aicc"}),
    "best_model": (best_model, {"criteria": {"a": np.ones(3), "b": np.zeros(3)}}),
    "information_criteria": (information_criteria, {"rss": np.ones(3), "frames": 42, "numbers": 3.0}),
    "f_test": (f_test, {"simple": np.ones(3), "full": np.ones(3), "frames": 42, "numbers": (3, 4)}),
    "halo": (halo, {"voxel_size": (1.0, 1.0, 1.0), "fwhm": 2.0}),
    "hypr_lr": (
        hypr_lr,
        {
            "activity": np.ones((2, 3, 3, 3), np.float32),
            "duration": [1.0, 1.0],
            "voxel_size": (1.0, 1.0, 1.0),
            "fwhm": 2.0,
        },
    ),
}


@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_is_given_only_errors_of_this_library_come_back(call: str, data: st.DataObject) -> None:
    function, sound = CALLS[call]
    wrong = data.draw(st.sets(st.sampled_from(sorted(sound)), min_size=1, max_size=2))
    arguments = sound | {name: data.draw(ANYTHING, label=name) for name in sorted(wrong)}
    with np.errstate(all="ignore"), contextlib.suppress(DlifError):
        function(**arguments)


def test_sound_arguments_are_taken() -> None:
    for function, sound in CALLS.values():
        function(**sound)


def test_models_in_one_comparison_are_fits() -> None:
    with pytest.raises(ConfigurationError, match="no model to compare"):
        compare_regions({})
    with pytest.raises(InputError, match="lacks aic, aicc, bic"):
        compare_regions({"a": _REGIONS.drop_vars(["aic", "aicc", "bic"])})
    other = fit_regions(SCAN, BLOOD, FitSettings("1tcm", weights="duration"))
    with pytest.raises(InputError, match="not fitted with the same weight"):
        compare_regions({"a": _REGIONS, "b": other})
