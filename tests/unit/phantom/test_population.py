"""Populations of simulated scans: ranges, motion, injections, tracers, truncation and what is held out."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import solve_ivp

from dlif_core.blood_samples.feng import FengInput
from dlif_core.errors import ConfigurationError
from dlif_core.phantom import (
    HELD_OUT,
    HUMAN,
    TRACERS,
    TRAINING,
    Draw,
    Injection,
    MixedBlood,
    Population,
    Span,
    draw,
    write_cohort,
)
from dlif_core.phantom.acquisition import AcquisitionRanges
from dlif_core.phantom.anatomy import BLOOD_POOLS, ORGANS, organ_volume
from dlif_core.phantom.human import HUMAN_CROP
from dlif_core.phantom.injection import InjectionRanges
from dlif_core.phantom.physiology import input_function
from dlif_core.phantom.scanner import MOUSE_FRAMES, frame_timing
from dlif_core.phantom.shapes import Ellipsoid

BOLUS = FengInput(
    delay=0.6, a1=102.8, a2=1.82, a3=1.85, lambda1=-5.55, lambda2=-0.227, lambda3=-0.0333, dispersion=0.18
)
TIME = np.arange(0.0, 2731.0)


@pytest.fixture(scope="module")
def trained() -> list[Draw]:
    return [draw(seed, TRAINING) for seed in range(150)]


@pytest.fixture(scope="module")
def held_out() -> list[Draw]:
    return [draw(seed, HELD_OUT) for seed in range(100)]


def shifted(shift: float) -> Population:
    return replace(HELD_OUT, injection=InjectionRanges(shift=Span((shift, shift))))


def same_anatomy(first: Draw, second: Draw) -> bool:
    return all(
        np.array_equal(a.centre, b.centre) and np.array_equal(a.semi_axes, b.semi_axes)
        for a, b in zip(first.mouse.anatomy, second.mouse.anatomy, strict=True)
        if isinstance(a, Ellipsoid) and isinstance(b, Ellipsoid)
    )


def test_span_draws_evenly_from_all_its_intervals() -> None:
    rng = np.random.default_rng(0)
    span = Span((0.0, 1.0), (3.0, 6.0), share=0.8, otherwise=-1.0)
    values = np.array([span.draw(rng) for _ in range(20000)])
    assert all(span.holds(value) for value in values)
    assert not span.holds(2.0)
    assert (values == -1.0).mean() == pytest.approx(0.2, abs=0.01)
    assert ((values >= 0) & (values <= 1)).mean() == pytest.approx(0.2, abs=0.01)
    assert values[values > 1].mean() == pytest.approx(4.5, abs=0.03)


def test_span_excludes_what_it_only_touches() -> None:
    assert Span((0, 1), (2, 3)).excludes(Span((1, 2)))
    assert not Span((0, 1), (2, 3)).excludes(Span((0.5, 0.6)))


def test_impossible_span_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no number can be drawn"):
        Span((2.0, 1.0))


def test_same_seed_same_draw() -> None:
    first, second, other = draw(5, TRAINING), draw(5, TRAINING), draw(6, TRAINING)
    assert (first.grid, first.protocol) == (second.grid, second.protocol)
    assert (first.mouse.seed, first.mouse.blood) == (second.mouse.seed, second.mouse.blood)
    assert first.mouse.kinetics == second.mouse.kinetics
    assert same_anatomy(first, second)
    assert first.mouse.blood != other.mouse.blood


def test_populations_never_share_a_seed(trained: list[Draw], held_out: list[Draw]) -> None:
    seeds = [drawn.mouse.seed for drawn in (*trained, *held_out)]
    assert len(set(seeds)) == len(seeds)
    assert TRAINING.stream != HELD_OUT.stream != HUMAN.stream


def test_draws_stay_within_their_ranges(trained: list[Draw]) -> None:
    ranges = TRAINING.acquisition
    for mouse, grid, protocol in trained:
        assert TRAINING.body_weight.holds(mouse.body_weight)
        assert ranges.noise_level.holds(mouse.noise_level)
        assert ranges.resolution.holds(protocol.resolution[1])
        assert ranges.heart_resolution.holds(protocol.heart_resolution)
        assert ranges.voxel_size.holds(grid.voxel_size[1])
        assert np.abs(grid.extent - [55, 25, 25]).max() < 10
        injection = mouse.blood.injection
        for name in ("shift", "infusion", "repeat", "gap", "paravenous", "release"):
            assert getattr(TRAINING.injection, name).holds(getattr(injection, name))


def test_training_holds_every_kind_of_scan(trained: list[Draw]) -> None:
    injections = [drawn.mouse.blood.injection for drawn in trained]
    assert {len(drawn.protocol.timing) for drawn in trained} >= {29, 41, 42, 43, 48}
    for name in ("shift", "infusion", "repeat", "paravenous"):
        used = np.mean([getattr(injection, name) != 0 for injection in injections])
        assert 0.01 < used < 0.9, name
    tumours = [any(shape.organ == "tumour" for shape in drawn.mouse.anatomy) for drawn in trained]
    assert np.mean(tumours) == pytest.approx(0.7, abs=0.12)
    influx = np.array([drawn.mouse.kinetics["myocardium"].Ki for drawn in trained])
    assert (influx < 0.1).mean() == pytest.approx(0.3, abs=0.12)


def test_organs_grow_with_body_weight_but_the_brain_hardly() -> None:
    still = replace(TRAINING, strain=Span((1.0, 1.0)), anatomy=replace(TRAINING.anatomy, size=Span((1.0, 1.0))))
    volumes = []
    for weight in (0.018, 0.035):
        mouse = draw(0, replace(still, body_weight=Span((weight, weight)))).mouse
        volumes.append([organ_volume(mouse.anatomy, organ) for organ in ("brain", "liver", "left_ventricle")])
    growth = np.log(np.divide(*volumes[::-1])) / np.log(35 / 18)
    np.testing.assert_allclose(growth, [0.15, 1.0, 1.0], atol=1e-6)


def test_held_out_ranges_lie_outside_those_of_training() -> None:
    for name in ("size", "trunk", "tumour", "vena_cava", "aorta", "wall", "rotation", "shift", "tilt", "position"):
        assert getattr(HELD_OUT.anatomy, name).excludes(getattr(TRAINING.anatomy, name)), name
    for name in ("resolution", "heart_resolution", "noise_level"):
        assert getattr(HELD_OUT.acquisition, name).excludes(getattr(TRAINING.acquisition, name)), name


def test_held_out_scans_lie_outside_those_of_training(trained: list[Draw], held_out: list[Draw]) -> None:
    def seen(drawn: list[Draw]) -> np.ndarray:
        return np.array([(d.mouse.noise_level, d.protocol.resolution[1], d.protocol.heart_resolution) for d in drawn])

    low, high = seen(trained).min(axis=0), seen(trained).max(axis=0)
    outside = seen(held_out)
    assert ((outside < low) | (outside > high)).all()
    assert {len(drawn.protocol.timing) for drawn in held_out} == {42}


def test_motion_has_the_measured_distribution(held_out: list[Draw]) -> None:
    """Measured between frames: median 0.27 mm, 95th percentile 0.85, largest 4.7."""
    length = np.linalg.norm([drawn.protocol.motion for drawn in held_out], axis=-1).ravel()
    assert np.median(length) == pytest.approx(0.27, rel=0.1)
    assert np.percentile(length, 95) == pytest.approx(0.85, rel=0.12)
    assert length.max() <= 4.7 + 1e-9
    directions = np.concatenate([drawn.protocol.motion for drawn in held_out])
    np.testing.assert_allclose(directions.mean(axis=0), 0.0, atol=0.03)


@pytest.mark.parametrize("shift", [-60.0, 60.0])
def test_shifted_injection_moves_the_curve_and_nothing_else(shift: float) -> None:
    usual, moved = draw(3, HELD_OUT), draw(3, shifted(shift))
    assert same_anatomy(usual, moved)
    assert usual.mouse.kinetics == moved.mouse.kinetics
    assert usual.protocol == moved.protocol
    first, second = (input_function(d.mouse.blood, 2730.0, 1.0) for d in (usual, moved))
    at = np.arange(100.0, 2000.0)
    for curve in ("whole_blood", "plasma"):
        before, after = getattr(first, curve), getattr(second, curve)
        expected = np.interp(at, first.time, before)
        np.testing.assert_allclose(np.interp(at + shift, second.time, after), expected, rtol=1e-9)
    # nothing that reached the blood before the scan is lost
    assert np.trapezoid(second.whole_blood, second.time) > 0.95 * np.trapezoid(first.whole_blood, first.time)


def test_truncation_leaves_the_frames_that_are_complete() -> None:
    ended = replace(HELD_OUT, acquisition=replace(HELD_OUT.acquisition, end=Span((1200.0, 1200.0))))
    whole, short = draw(2, HELD_OUT), draw(2, ended)
    frames = len(short.protocol.timing)
    assert short.protocol.timing.end[-1] <= 1200.0 < whole.protocol.timing.end[frames]
    assert np.array_equal(short.protocol.timing.start, whole.protocol.timing.start[:frames])
    assert (short.mouse.seed, short.mouse.blood) == (whole.mouse.seed, whole.mouse.blood)


def test_plain_injection_is_the_bolus() -> None:
    # between its samples of a quarter second, an injection is piecewise linear
    np.testing.assert_allclose(MixedBlood(BOLUS).curve(TIME), BOLUS.curve(TIME), rtol=1e-3, atol=1e-3)


def test_infusion_and_depot_equal_the_ode() -> None:
    injection = MixedBlood(BOLUS, Injection(infusion=40.0, paravenous=0.4, release=0.05))

    def flow(t: float, state: np.ndarray) -> list[float]:
        """The depot takes in its share of the infused curve and releases it."""
        infused = (state[1] - np.interp(t - 40.0, TIME, past, left=0.0)) / 40.0
        return [0.05 / 60 * (infused - state[0]), float(BOLUS.curve(t))]

    fine = np.arange(0.0, 2731.0, 0.1)
    area = np.concatenate([[0.0], np.cumsum(0.05 * (BOLUS.curve(fine[1:]) + BOLUS.curve(fine[:-1])))])
    past = np.interp(TIME, fine, area)
    solution = solve_ivp(flow, (0, 600), [0.0, 0.0], t_eval=[100, 300, 600], max_step=0.5, rtol=1e-8, atol=1e-10)
    infused = (np.interp(solution.t, fine, area) - np.interp(solution.t - 40, fine, area)) / 40
    np.testing.assert_allclose(injection.curve(solution.t), 0.6 * infused + 0.4 * solution.y[0], rtol=2e-3)


def test_all_that_is_injected_arrives_however_it_is_given() -> None:
    bolus = replace(BOLUS, a3=0.0)  # without the slow tail, the area of which lies beyond the time looked at
    time = np.arange(0.0, 30000.0)
    area = np.trapezoid(bolus.curve(time), time)
    for injection in (
        MixedBlood(bolus, Injection(infusion=60.0)),
        MixedBlood(bolus, Injection(repeat=0.4, gap=90.0)),
        MixedBlood(bolus, Injection(paravenous=0.8, release=0.05)),
    ):
        assert np.trapezoid(injection.curve(time), time) == pytest.approx(area, rel=1e-3)


def test_slow_injections_lower_the_peak_and_two_make_two() -> None:
    peak = BOLUS.curve(TIME).max()
    assert MixedBlood(BOLUS, Injection(infusion=60.0)).curve(TIME).max() < 0.8 * peak
    assert MixedBlood(BOLUS, Injection(paravenous=0.5)).curve(TIME).max() < 0.6 * peak
    twice = MixedBlood(BOLUS, Injection(repeat=0.5, gap=120.0)).curve(TIME)
    tops = [t for t, (a, b, c) in enumerate(zip(twice, twice[1:], twice[2:], strict=False)) if a < b > c]
    assert np.diff(tops) == pytest.approx([120], abs=3)


def test_impossible_injection_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="injection is impossible"):
        MixedBlood(BOLUS, Injection(paravenous=1.5))


@pytest.mark.parametrize(
    ("name", "half_life", "longest"),
    [("FDG", 6586.2, 2730), ("raclopride", 1221.8, 2730), ("water", 122.24, 733.5), ("FLT", 6586.2, 2730)],
)
def test_tracers_have_their_half_life_and_kinetics(name: str, half_life: float, longest: float) -> None:
    mouse, _, protocol = draw(0, replace(HELD_OUT, tracer=name, rate_variation=0.0, fasted_share=0.0))
    assert protocol.half_life == half_life
    assert mouse.tracer is TRACERS[name]
    assert protocol.timing.end[-1] <= longest
    for organ, (K1, k2, k3, k4, vB) in mouse.tracer.tissue.items():
        found = mouse.kinetics[organ]
        assert (found.K1, found.k2, found.k3, found.k4, found.vB) == pytest.approx((K1, k2, k3, k4, vB))


@pytest.mark.parametrize("name", sorted(TRACERS))
def test_tracers_cover_all_tissue(name: str) -> None:
    pools = {*BLOOD_POOLS, "renal_pelvis", "bladder"}
    assert set(TRACERS[name].tissue) == set(ORGANS) - pools


def test_parent_plasma_of_a_metabolised_tracer_falls() -> None:
    curve = input_function(MixedBlood(BOLUS), 3600.0, 1.0, TRACERS["FDOPA"])
    ratio = curve.plasma[1:] / np.maximum(curve.whole_blood[1:], 1e-12)
    assert ratio[600] == pytest.approx(1.1 * (0.2 + 0.8 * np.exp(-0.05 * 601 / 60)), rel=1e-9)


def test_unknown_tracer_and_species_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="tracer"):
        draw(0, replace(HELD_OUT, tracer="tea"))
    with pytest.raises(ConfigurationError, match="species"):
        draw(0, replace(HELD_OUT, species="newt"))


def test_schedules_are_without_gaps_and_long_enough() -> None:
    for schedule in TRAINING.acquisition.schedules:
        timing = frame_timing(schedule)
        assert not timing.gaps
        assert 2400 <= timing.end[-1] <= 3600
    assert len(frame_timing(MOUSE_FRAMES)) == 42


def test_human_is_of_human_size() -> None:
    mouse, grid, protocol = draw(0, HUMAN)
    assert (mouse.species, mouse.tracer.name) == ("human", "FDG")
    assert grid == HUMAN_CROP
    assert min(protocol.resolution) >= 4
    scale = mouse.body_weight / 70
    assert organ_volume(mouse.anatomy, "brain") / scale == pytest.approx(1.35e6, rel=0.4)
    assert organ_volume(mouse.anatomy, "left_ventricle") / scale == pytest.approx(1.0e5, rel=0.6)
    peak = mouse.blood.curve(TIME).max()
    assert 4 < peak < 20


def test_cohort_of_a_population(tmp_path: Path) -> None:
    quick = replace(shifted(-60.0), acquisition=AcquisitionRanges(end=Span((300.0, 300.0))))
    write_cohort(tmp_path / "cohort", 2, population=quick, voxel_size=3.0)
    people = pd.read_csv(tmp_path / "cohort/participants.tsv", sep="\t")
    assert people["weight"].between(0.018, 0.035).all()
    blood = pd.read_csv(tmp_path / "cohort/sub-m01/pet/sub-m01_recording-autosampler_blood.tsv", sep="\t")
    assert blood["time"].iloc[0] == -60.0
    assert all(later > earlier for earlier, later in pairwise(blood["time"]))
