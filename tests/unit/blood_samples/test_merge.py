"""Merge of recordings, plasma ratio, tail and time grid."""

import numpy as np
import pytest

from dlif_core.blood_samples import BloodRecording
from dlif_core.blood_samples.merge import merge
from dlif_core.blood_samples.plasma import assumed_ratio, measured_ratio, mouse_fdg_ratio
from dlif_core.blood_samples.series import Series, time_grid
from dlif_core.blood_samples.tail import fit_tail, require_reach
from dlif_core.errors import BloodError, MissingInputError
from dlif_core.scan import Acquisition, is_fdg

SECONDS = np.arange(0.0, 301.0)


def curve(time: np.ndarray) -> np.ndarray:
    return np.asarray(1e4 * time * np.exp(-time / 30) + 2e4 * (1 - np.exp(-time / 60)) * np.exp(-time / 3000))


def autosampler(scale: float = 1.0) -> BloodRecording:
    return BloodRecording("autosampler", True, SECONDS, scale * curve(SECONDS))


def manual() -> BloodRecording:
    time = np.array([0.0, 60, 180, 600, 1800, 3600])
    return BloodRecording("manual", True, time, curve(time), 1.5 * curve(time), np.exp(-time / 5000))


def venous() -> BloodRecording:
    return BloodRecording("manualvenous", False, np.array([30.0, 2000.0]), np.array([9e9, 9e9]), np.array([9e9, 9e9]))


FDG_NAMES = (
    "FDG",
    "[18F]FDG",
    "F18-fdg",
    "F D G",
    "Fluorodeoxyglucose F18",
    "Fluordesoxyglucose",
    "fludeoxyglucose",
    "2-deoxy-2-[18F]fluoro-D-glucose",
    "2-[18F]fluoro-2-deoxy-D-glucose",
)


def test_autosampler_gives_the_peak_and_manual_samples_the_tail() -> None:
    blood = merge([manual(), autosampler()])
    np.testing.assert_array_equal(blood.whole_blood.time, [*SECONDS, 600, 1800, 3600])
    np.testing.assert_allclose(blood.whole_blood.value, curve(blood.whole_blood.time))
    assert blood.provenance["samples"]["whole_blood"] == {"autosampler": 301, "manual": 3}
    assert blood.provenance["manual to autosampler"] == pytest.approx(1.0)
    assert blood.warnings == ()


def test_venous_samples_never_enter() -> None:
    with_venous, without = merge([venous(), manual(), autosampler()]), merge([manual(), autosampler()])
    for column in ("whole_blood", "plasma", "parent_fraction"):
        np.testing.assert_array_equal(getattr(with_venous, column).value, getattr(without, column).value)
    assert with_venous.provenance["venous recordings left out"] == ["manualvenous"]


def test_only_venous_blood_is_missing_blood() -> None:
    with pytest.raises(MissingInputError, match=r"only venous blood was recorded \(manualvenous\)"):
        merge([venous()])
    with pytest.raises(MissingInputError, match="no blood was recorded"):
        merge([])


def test_a_miscalibrated_autosampler_is_reported_and_not_corrected() -> None:
    blood = merge([manual(), autosampler(scale=0.5)])
    assert blood.whole_blood.value.max() == pytest.approx(0.5 * curve(SECONDS).max())
    assert blood.warnings == (
        "manual whole-blood samples are 2.00 times the autosampler's at the same times (median of 2); "
        "check the cross-calibration.",
    )


@pytest.mark.parametrize("name", ["automatic", "continuous", "Twilite", "manual", "left"])
def test_an_autosampler_is_told_by_its_name_or_its_rate(name: str) -> None:
    """PET-BIDS asks for the name manual where the method is not known."""
    recording = BloodRecording(name, True, SECONDS, 1.3 * curve(SECONDS))
    assert recording.is_automatic
    blood = merge([BloodRecording("discrete", True, manual().time, curve(manual().time)), recording])
    np.testing.assert_array_equal(blood.whole_blood.time, [*SECONDS, 600, 1800, 3600])
    assert blood.whole_blood.value.max() == pytest.approx(1.3 * curve(SECONDS).max())
    assert "0.77 times the autosampler's" in blood.warnings[0]


@pytest.mark.parametrize("name", ["manual", "discrete", "venous", "blood"])
def test_some_samples_are_of_no_autosampler(name: str) -> None:
    assert not BloodRecording(name, True, SECONDS[::30], curve(SECONDS[::30])).is_automatic


def test_two_recordings_of_a_kind_that_disagree_are_told() -> None:
    early, late = np.arange(0, 300, 20.0), np.arange(10, 900, 45.0)
    first = BloodRecording("manual", True, early, plasma=curve(early))
    second = BloodRecording("discrete", True, late, plasma=2 * curve(late))
    assert "discrete plasma samples are 2.0" in merge([first, second]).warnings[0]
    assert merge([first, BloodRecording("discrete", True, late, plasma=curve(late))]).warnings == ()


def test_two_manual_recordings_join_and_share_their_common_time() -> None:
    time = np.array([180.0, 900.0])
    second = BloodRecording("manual2", True, time, 3 * curve(time))
    blood = merge([manual(), second])
    np.testing.assert_array_equal(blood.whole_blood.time, [0, 60, 180, 600, 900, 1800, 3600])
    assert blood.whole_blood.value[2] == pytest.approx(2 * curve(time)[0])


def test_recordings_without_activity_are_refused() -> None:
    fraction = BloodRecording("manual", True, SECONDS, parent_fraction=np.ones(301), source="x.tsv")
    with pytest.raises(BloodError, match=r"x.tsv: .*neither whole-blood nor plasma"):
        merge([fraction])


def test_a_column_of_zeros_is_refused() -> None:
    empty = BloodRecording("manual", True, SECONDS, np.zeros(301), curve(SECONDS), source="x.tsv")
    with pytest.raises(BloodError, match=r"x.tsv: whole blood holds no activity"):
        merge([empty])


def test_plasma_ratio_is_taken_where_there_is_signal() -> None:
    ratio = measured_ratio(merge([manual(), autosampler()]))
    assert ratio is not None
    np.testing.assert_array_equal(ratio.time, [60, 180, 600, 1800, 3600])  # not at 0 s, where there is none
    np.testing.assert_allclose(ratio.value, 1.5)


def test_mouse_fdg_formula() -> None:
    """0.386·e^(−0.191·t/min) + 1.165 of J Nucl Med 2007;48:837."""
    np.testing.assert_allclose(mouse_fdg_ratio([0, 60, 1e6]), [1.551, 0.386 * 0.826134 + 1.165, 1.165], rtol=1e-6)
    time = np.array([0.0, 600.0])
    mouse = Acquisition("[18F]FDG", 6586.2, species="mouse")
    np.testing.assert_array_equal(assumed_ratio(time, mouse)[0], mouse_fdg_ratio(time))
    assert assumed_ratio(time, mouse)[2] == ()
    human, _, warnings = assumed_ratio(time, Acquisition("[18F]FDG", 6586.2, species="human"))
    np.testing.assert_array_equal(human, [1, 1])
    assert "taken as equal" in warnings[0]


def test_fdg_is_known_by_its_usual_names() -> None:
    assert all(is_fdg(name) for name in FDG_NAMES)
    assert not any(is_fdg(name) for name in ("", "MC1", "FDOPA", "FDGal", "FDG-6-P", "fluorothymidine", "deoxyglucose"))


def series(time: np.ndarray, value: np.ndarray) -> Series:
    return Series(time, value, np.full(len(time), "manual"))


def test_tail_of_an_exponential_is_that_exponential() -> None:
    time = np.array([10.0, 100, 600, 1800, 3000, 3600])
    tail = fit_tail(series(time, 500 * np.exp(-0.02 * time / 60)))
    assert tail.rate == pytest.approx(0.02)
    np.testing.assert_allclose(tail.at([4000, 5000]), 500 * np.exp(-0.02 * np.array([4000, 5000]) / 60))


def test_a_growing_tail_stays_level() -> None:
    tail = fit_tail(series(np.array([10.0, 100, 200, 300]), np.array([1.0, 2, 4, 8])))
    assert tail.rate == 0
    assert tail.at(900.0) == pytest.approx(8)


def test_a_dead_tail_is_refused() -> None:
    with pytest.raises(BloodError, match=r"hold no activity"):
        fit_tail(series(np.array([10.0, 100, 200, 300]), np.array([5.0, 2, 0, 0])))


def test_reach_is_limited() -> None:
    samples = series(np.array([0.0, 4500.0]), np.ones(2))
    assert require_reach(samples, "plasma", 5000, 0.2) == pytest.approx(0.1)
    assert require_reach(samples, "plasma", 4000, 0.2) == 0
    with pytest.raises(BloodError, match=r"x.tsv: .*plasma sample is at 4500 s, the scan ends at 6000 s: 25%"):
        require_reach(samples, "plasma", 6000, 0.2, where="x.tsv")


def test_curves_fall_to_zero_at_injection_and_follow_their_samples() -> None:
    samples = series(np.array([10.0, 20, 40]), np.array([4.0, 8, 2]))
    np.testing.assert_allclose(samples.at([0, 5, 10, 15, 30, 40, 90]), [0, 2, 4, 6, 5, 2, 2])
    smooth = samples.at(np.linspace(0, 40, 200), "monotone")
    assert smooth.max() == pytest.approx(8, rel=1e-2)
    assert (np.diff(smooth[: smooth.argmax()]) >= 0).all()


@pytest.mark.parametrize("end", [20.0, 50.0, 60.0, 7200.0])
def test_grid_holds_the_samples_and_resolves_a_product_of_line_and_curve(end: float) -> None:
    samples = np.array([0.3, 17.77, 3333.3])
    grid = time_grid(end, samples)
    assert grid[0] == 0
    assert grid[-1] == end
    assert (np.diff(grid) > 0).all()
    assert set(samples[samples < end]) <= set(grid)
    fine = np.linspace(0, end, 5001)
    product = (1000 - fine / 10) * np.exp(-fine / 1800)
    found = np.interp(fine, grid, (1000 - grid / 10) * np.exp(-grid / 1800))
    np.testing.assert_allclose(found, product, atol=1e-4 * 1000)


@pytest.mark.parametrize("end", [20.0, 60 * 0.9, 3600.0])
def test_grid_takes_times_that_differ_by_rounding_for_one_so_that_a_delay_does_not_merge_them(end: float) -> None:
    rounded = 60 * (np.arange(1, 600) * 0.1)  # tenths of minutes in seconds: 0.3 min is 18.000000000000004 s
    grid = time_grid(end, np.array([1e-9]), rounded, np.array([end - 1e-9]))
    assert grid[0] == 0
    assert grid[-1] == end
    assert (np.diff(grid + 1000 / 3) > 0).all()
