"""Repair of recordings: what is mended, what is refused, and what the record says."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlif_core.blood_samples import BloodRecording
from dlif_core.blood_samples.repair import longest_ordered, repair
from dlif_core.errors import BloodError


def recording(time: object, whole_blood: object, **columns: object) -> BloodRecording:
    return BloodRecording(
        "manual", True, np.array(time, float), np.array(whole_blood, float), source="x.tsv", **columns
    )


def longest_by_trying_all(values: list[float]) -> int:
    for length in range(len(values), 0, -1):
        for chosen in itertools.combinations(values, length):
            if all(a <= b for a, b in itertools.pairwise(chosen)):
                return length
    return 0


@given(st.lists(st.integers(0, 6), max_size=9))
def test_as_few_samples_as_possible_are_removed(times: list[int]) -> None:
    kept = longest_ordered(times)
    assert (np.diff(kept) > 0).all()
    assert (np.diff(np.array(times)[kept]) >= 0).all()
    assert len(kept) == longest_by_trying_all([float(time) for time in times])


def test_a_sound_recording_is_left_alone() -> None:
    found, warnings = repair(recording([0, 10, 20], [0, 5, 3]))
    np.testing.assert_array_equal(found.whole_blood, [0, 5, 3])
    assert warnings == ()


def test_a_sample_out_of_order_is_left_out_and_named() -> None:
    found, warnings = repair(recording([10, 20, 90, 40, 50, 60, 70, 80, 95, 100], np.arange(10) + 1))
    np.testing.assert_array_equal(found.time, [10, 20, 40, 50, 60, 70, 80, 95, 100])
    np.testing.assert_array_equal(found.whole_blood, [1, 2, 4, 5, 6, 7, 8, 9, 10])
    assert warnings == ("x.tsv: samples out of order in time are left out: 90 s.",)


def test_too_much_disorder_is_refused() -> None:
    times = [10, 20, 90, 40, 99, 60, 70, 80, 95, 100, 110]
    with pytest.raises(BloodError, match=r"x.tsv: 2 of 11 samples are out of order in time \(90 s, 99 s\)"):
        repair(recording(times, np.ones(11)))


def test_samples_at_the_same_time_are_averaged_where_measured() -> None:
    plasma = np.array([1.0, np.nan, 4.0, 8.0])
    found, warnings = repair(recording([0, 10, 10, 20], [1, 2, 4, 8], plasma=plasma))
    np.testing.assert_array_equal(found.time, [0, 10, 20])
    np.testing.assert_array_equal(found.whole_blood, [1, 3, 8])
    np.testing.assert_array_equal(found.plasma, [1, 4, 8])
    assert warnings == ("x.tsv: samples at the same time are averaged: 10 s.",)


def test_zero_rows_at_the_end_are_dropped_but_not_those_at_the_start() -> None:
    found, warnings = repair(recording([0, 10, 20, 0, 0], [0, 5, 3, 0, 0], plasma=np.array([0, 6, 4, 0, np.nan])))
    np.testing.assert_array_equal(found.time, [0, 10, 20])
    assert warnings == ("x.tsv: 2 rows of zeros at the end are left out.",)


def test_rows_without_a_value_are_dropped_in_silence_and_rows_without_a_time_are_named() -> None:
    found, warnings = repair(recording([0, 10, np.nan, 30], [1, np.nan, 3, 4]))
    np.testing.assert_array_equal(found.time, [0, 30])
    assert warnings == ("x.tsv: 1 samples without a time are left out.",)


def test_samples_before_the_injection_are_dropped() -> None:
    found, warnings = repair(recording([-20, -10, 0, 10], [1, 1, 1, 4]))
    np.testing.assert_array_equal(found.time, [0, 10])
    assert "before the injection" in warnings[0]


def test_small_negative_values_become_zero() -> None:
    found, warnings = repair(recording([0, 10, 20, 30], [-4.9, 100, -1, 1]))
    np.testing.assert_array_equal(found.whole_blood, [0, 100, 0, 1])
    assert warnings == ("x.tsv: small negative values of whole blood are set to zero: 0 s, 20 s.",)


def test_zeros_between_samples_far_above_were_lost() -> None:
    found, warnings = repair(recording([0, 10, 20, 30, 40, 50, 60], [0, 0, 100, 0, 40, -1, 30]))
    np.testing.assert_array_equal(found.whole_blood, [0, 0, 100, np.nan, 40, np.nan, 30])
    assert warnings == ("x.tsv: lost samples of whole blood, written as -1, are left out: 30 s, 50 s.",)


def test_zeros_before_the_peak_and_in_the_noise_are_measured() -> None:
    found, warnings = repair(recording([0, 10, 20, 30, 40, 50], [1, 0, 100, 1.5, 0, 1]))
    np.testing.assert_array_equal(found.whole_blood, [1, 0, 100, 1.5, 0, 1])
    assert warnings == ()


@pytest.mark.parametrize(
    ("fractions", "kept"),
    [
        ([0, 0.95, 0.8, 0.5], [np.nan, 0.95, 0.8, 0.5]),
        ([0, 0.95, 0, 0.5, 0], [np.nan, 0.95, np.nan, 0.5, np.nan]),
        ([1, -1, 0.8, 0.1], [1, np.nan, 0.8, 0.1]),
        ([1, 0.6, 0.2, 0], [1, 0.6, 0.2, 0]),
        ([0, 0.2, 0.4, 0.6], [0, 0.2, 0.4, 0.6]),
    ],
)
def test_parent_fractions_of_zero_that_were_lost(fractions: list[float], kept: list[float]) -> None:
    time = np.arange(len(fractions)) * 60
    found, _ = repair(recording(time, np.linspace(9, 1, len(time)), parent_fraction=np.array(fractions, float)))
    np.testing.assert_array_equal(found.parent_fraction, kept)


def test_large_negative_values_are_refused() -> None:
    with pytest.raises(BloodError, match=r"x.tsv: whole blood is negative, -5.1 Bq/mL at 20 s") as error:
        repair(recording([0, 10, 20], [0, 100, -5.1]))
    assert "background" in error.value.hint


def test_parent_fractions_just_above_one_become_one() -> None:
    found, warnings = repair(recording([0, 10], [1, 2], parent_fraction=np.array([1.04, 0.9])))
    np.testing.assert_array_equal(found.parent_fraction, [1.0, 0.9])
    assert warnings == ("x.tsv: parent fractions above 1 are set to 1: 0 s.",)


@pytest.mark.parametrize(
    ("fractions", "hint"), [([98.0, 40.0], "percent"), ([1.2, 0.4], "Correct"), ([0.9, -0.1], "Correct")]
)
def test_what_is_no_parent_fraction_is_refused(fractions: list[float], hint: str) -> None:
    with pytest.raises(BloodError, match="not from 0 to 1") as error:
        repair(recording([0, 10], [1, 2], parent_fraction=np.array(fractions)))
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("whole_blood", "message"),
    [([np.nan] * 3, "no usable sample"), ([0.0] * 3, "no usable sample"), ([1, np.inf, 2], "infinite value")],
)
def test_a_recording_without_activity_is_refused(whole_blood: list[float], message: str) -> None:
    with pytest.raises(BloodError, match=f"x.tsv: .*{message}"):
        repair(recording([0, 10, 20], whole_blood))
