"""The image-derived input function on images whose blood curve is known."""

import numpy as np
import pytest
from scipy import ndimage

from dlif_core.blood_samples.feng import FengInput
from dlif_core.errors import InputError
from dlif_core.frames import FrameTiming
from dlif_core.input_function import estimate, image_derived
from dlif_core.kinetics.convolution import FrameConvolution
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

DURATION = np.repeat([30.0, 5.0, 20.0, 300.0], [1, 24, 9, 8])
TIMING = FrameTiming(np.cumsum(DURATION) - DURATION, DURATION)
BLOOD = FengInput(0.613, 102.8, 1.82, 1.85, -5.55, -0.227, -0.0333, 0.18)
SUV = 3e5
AFFINE = np.diag([0.5, 0.5, 0.6, 1.0])
MOUSE = Acquisition("FDG", 6586.2, species="mouse")
TIME = np.arange(0, TIMING.end[-1] + 1)
TRUE = SUV * BLOOD.curve(TIME)


def tissue(k1: float, k2: float, k3: float) -> np.ndarray:
    """Frame averages of an irreversibly trapping tissue."""
    response = FrameConvolution(TIME, TRUE, TIMING).exponential([k2 + k3, 0.0])
    return np.asarray(k1 / (k2 + k3) * (k2 * response[0] + k3 * response[1]))


def heart(blur: float, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Muscle, in it a heart: a ball of blood in a shell of myocardium. Gives image and mask of the blood."""
    z, y, x = np.indices((24, 24, 24)) - 11.5
    radius = np.sqrt(z**2 + y**2 + x**2)
    blood = radius < 4
    weights = np.stack([blood, (radius >= 4) & (radius < 6), radius >= 6]).astype(float)
    weights = ndimage.gaussian_filter(weights, (0, blur, blur, blur), mode="nearest")
    curves = np.stack([TIMING.average(TIME, TRUE), tissue(0.7, 1.0, 0.3), tissue(0.05, 0.25, 0.02)])
    image = np.einsum("of,ozyx->fzyx", curves, weights)
    rng = np.random.default_rng(1)
    image += noise * np.sqrt(image.clip(0) * SUV / DURATION[:, None, None, None]) * rng.normal(size=image.shape)
    return image.astype(np.float32), blood


def scan(image: np.ndarray | None, acquisition: Acquisition = MOUSE, timing: FrameTiming = TIMING) -> DynamicScan:
    regions = RegionCurves(("whole image",), np.zeros((1, len(timing))), np.ones(1))
    return DynamicScan(timing, acquisition, regions, activity=image, affine=AFFINE)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_blood_is_found_and_its_curve_is_true_without_blur(noise: float) -> None:
    image, blood = heart(blur=0.0, noise=noise)
    found = estimate("image-derived", scan(image), ())
    pool = image_derived.find_blood_pool(image, TIMING)
    assert not (pool.mask & ~blood).any()
    truth = TIMING.average(TIME, TRUE)
    error = found.frame_average(TIMING)[0] - truth
    assert np.sqrt(np.mean(error**2)) < (0.02 if noise == 0 else 0.06) * truth.max()
    np.testing.assert_allclose(found.provenance["centroid x, y, z"], [5.75, 5.75, 6.9], atol=1.0)
    assert found.provenance["volume [mL]"] == pytest.approx(found.provenance["voxels"] * 0.15e-3)


def test_spill_in_from_myocardium_is_warned_of() -> None:
    """In a blurred heart the tail is too high: the warning says so, nothing is corrected."""
    image, _ = heart(blur=1.7)
    found = estimate("image-derived", scan(image), ())
    assert found.whole_blood[-1] > 2 * TRUE[-1]
    assert any("times as active" in warning for warning in found.warnings)
    assert any("not corrected" in warning for warning in found.warnings)


def test_slabs_give_what_one_piece_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    image, _ = heart(blur=1.0, noise=1.0)
    whole = image_derived.find_blood_pool(image, TIMING)
    monkeypatch.setattr(image_derived, "_SLAB_BYTES", 4 * 42 * 24 * 24 * 5)
    np.testing.assert_array_equal(image_derived.find_blood_pool(image, TIMING).mask, whole.mask)


class Reads:
    """An image that remembers the largest piece read from it."""

    def __init__(self, image: np.ndarray) -> None:
        self.image, self.shape, self.largest = image, image.shape, 0

    def __getitem__(self, key: object) -> np.ndarray:
        piece = np.asarray(self.image[key])
        self.largest = max(self.largest, piece.nbytes)
        return piece


def test_an_image_on_disk_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    image, _ = heart(blur=1.0)
    plane = 4 * 42 * 24 * 24
    monkeypatch.setattr(image_derived, "_SLAB_BYTES", 5 * plane)
    reads = Reads(image)
    estimate("image-derived", scan(reads), ())
    assert reads.largest <= (5 + 2 * 3) * plane  # a slab and its margin


def test_plasma_follows_the_mouse_fdg_formula_and_metabolites_are_warned_of() -> None:
    image, _ = heart(blur=0.0)
    mouse = estimate("image-derived", scan(image), ())
    np.testing.assert_allclose(mouse.plasma, mouse.whole_blood * (0.386 * np.exp(-0.191 * mouse.time / 60) + 1.165))
    other = estimate("image-derived", scan(image, Acquisition("MC1", 1220.0, species="human")), ())
    np.testing.assert_array_equal(other.plasma, other.whole_blood)
    assert any("parent fraction" in warning for warning in other.warnings)
    assert any("plasma is taken as whole blood" in warning for warning in other.warnings)


def test_curve_reproduces_frame_averages() -> None:
    averages = TIMING.average(TIME, TRUE)
    time, values, misfit = image_derived.curve_from_frames(TIMING, averages)
    assert misfit < 0.01
    np.testing.assert_allclose(TIMING.average(time, values), averages, atol=0.02 * averages.max())
    assert values.min() >= 0
    assert values[0] == 0
    assert np.trapezoid(values, time) == pytest.approx(np.trapezoid(TRUE, TIME), rel=0.01)


@pytest.mark.parametrize(
    ("image", "timing", "message"),
    [
        (None, TIMING, "region curves alone"),
        (np.ones((2, 8, 8, 8), np.float32), FrameTiming([0, 600], [600, 600]), "1 of 2 frames begin in the first 5"),
        (np.ones((42, 8, 8, 8), np.float32), TIMING, "no connected group of voxels"),
        (np.ones((42, 1, 2, 2), np.float32), TIMING, "no connected group of voxels"),
    ],
)
def test_images_that_show_no_blood_are_unavailable(image: np.ndarray | None, timing: FrameTiming, message: str) -> None:
    with pytest.raises(InputError, match=message):
        estimate("image-derived", scan(image, timing=timing), ())


@pytest.mark.slow
def test_a_simulated_mouse_gives_a_curve_near_its_truth() -> None:
    """Mouse 13 is a typical one of the twelve that had no part in choosing the weights of the score.

    Root mean square error of the frame averages over mice 10 to 21: median .51, largest 1.12 SUV.
    """
    from dlif_core.phantom import draw_mouse, simulate

    simulated = simulate(draw_mouse(13))
    found = estimate("image-derived", simulated.scan, ())
    truth, timing = simulated.truth.input_function, simulated.protocol.timing
    error = (found.frame_average(timing)[0] - truth.frame_average(timing)[0]) / simulated.mouse.activity_per_suv
    assert np.sqrt(np.mean(error**2)) < 0.5
    assert found.whole_blood.max() == pytest.approx(truth.whole_blood.max(), rel=0.15)
