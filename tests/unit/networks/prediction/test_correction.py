"""The correction over time: a reading is weighed against how blood behaves, by how good it is in every window."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dlif_core.compute.pool import open_mapper
from dlif_core.networks.prediction.correction import FAMILIES, OFFSET, Correction, ReadCourse
from dlif_core.networks.prediction.features import COURSE, COURSE_EDGES, frame_matrix
from dlif_core.networks.prediction.predict import predict
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.training.correction import blood_families, correction_cases, with_corrections
from dlif_core.networks.training.examples import make_example
from dlif_core.phantom import TRAINING, draw
from dlif_core.phantom.sites import Sites

ERROR = 1.3
MIDDLES = 0.5 * (np.array(COURSE_EDGES[1:]) + np.array(COURSE_EDGES[:-1])).clip(1.0)


@pytest.fixture(scope="module")
def examples():
    return [make_example(seed, TRAINING) for seed in range(40, 46)]


@pytest.fixture(scope="module")
def network():
    """Finds the same tissues everywhere: what it reads is the mean of the image times a factor."""
    network = TissueNetwork((4, 4, 4)).eval()
    torch.nn.init.zeros_(network.out.weight)
    return network


def any_blood(seed=0):
    """Curves of all kinds, so that a reading counts alone."""
    return torch.from_numpy(3.0 * np.random.default_rng(seed).standard_normal((400, COURSE)))


def falling(rng, animals, power):
    """Logarithms of power laws of two parameters, shape (animals, course windows)."""
    level, slope = rng.normal(2.0, 0.3, (animals, 1)), rng.normal(power, 0.05, (animals, 1))
    return level - slope * np.log(MIDDLES / 10.0)


def read_too_low(network, example):
    """The example, were its blood such that the network reads it too low by a factor."""
    read = predict(network, example.scan).whole_blood
    return replace(example, whole_blood=ERROR * (read.clamp(min=0.0) + OFFSET) - OFFSET)


def read_poorly(rng, truth):
    """Readings whose errors at the end are larger the more active the myocardium is, all of one direction in a scan."""
    hot = rng.standard_normal((len(truth), 1))
    size = np.where(np.arange(COURSE) >= COURSE - 3, 0.4 * np.exp(0.5 * hot), 0.02)
    error = size * (0.8 * rng.standard_normal((len(truth), 1)) + 0.6 * rng.standard_normal(truth.shape))
    signs = np.stack([np.zeros_like(truth), np.broadcast_to(hot, truth.shape)], axis=-1)
    scans = zip(truth + error, signs, strict=True)
    measured = torch.ones(COURSE, dtype=torch.bool)
    return [ReadCourse(torch.from_numpy(y), torch.from_numpy(sign), measured) for y, sign in scans]


class TestFrameMatrix:
    def test_interpolates_between_measured_windows(self):
        measured = np.ones(COURSE, dtype=bool)
        measured[[0, 11]] = False
        values = np.random.default_rng(0).normal(size=COURSE)
        middle = np.array([-100.0, 0.0, 7.3, 333.0, 5000.0])
        edges = np.array(COURSE_EDGES)
        expected = np.interp(middle, 0.5 * (edges[1:] + edges[:-1])[measured], values[measured])
        assert frame_matrix(middle, measured) @ values == pytest.approx(expected)


class TestCorrection:
    @torch.no_grad()
    def test_new_one_corrects_nothing(self, examples, network):
        example = examples[0]
        found = predict(network, example.scan)
        assert found.factor.tolist() == pytest.approx([1.0] * len(example.scan.timing))
        assert torch.allclose(found.whole_blood, found.curves[0], atol=1e-6)

    def test_is_the_conditional_mean_of_normal_variables(self):
        """Against the formula for the windows that the scan has, the others left out of it altogether."""
        rng = np.random.default_rng(3)
        root = rng.standard_normal((COURSE, COURSE))
        covariance, centre = root @ root.T + np.eye(COURSE), rng.standard_normal(COURSE)
        size = np.exp(rng.normal(-1.0, 0.3, COURSE))
        correction = Correction().double()
        correction.covariances[0], correction.means[0] = torch.from_numpy(covariance), torch.from_numpy(centre)
        correction.level[:] = torch.from_numpy(np.log(size))
        seen, measured = rng.standard_normal(COURSE), np.arange(COURSE) % 3 != 1
        zeros = torch.zeros(COURSE, 2, dtype=torch.float64)
        found = correction(ReadCourse(torch.from_numpy(seen), zeros, torch.from_numpy(measured)))
        gain = covariance[:, measured] @ np.linalg.inv(
            covariance[np.ix_(measured, measured)] + np.diag(size[measured] ** 2)
        )
        mean = centre + gain @ (seen - centre)[measured]
        left = covariance - gain @ covariance[measured]
        assert found.logarithm.numpy()[measured] == pytest.approx((mean - seen)[measured], abs=1e-3)
        assert not found.logarithm.numpy()[~measured].any()
        assert found.expected.numpy() == pytest.approx(np.sqrt(np.diag(left)), rel=1e-2)

    def test_poor_windows_follow_from_good_ones(self):
        """The tail of a power law is read poorly: corrected, it is far better, and the expected error is that found."""
        rng = np.random.default_rng(5)
        correction = Correction()
        truth = falling(rng, 300, 0.5)
        correction.fit([torch.from_numpy(falling(rng, 400, 0.5))], read_poorly(rng, truth), torch.from_numpy(truth))
        truth = falling(rng, 200, 0.5)
        read = read_poorly(rng, truth)
        found = [correction(one) for one in read]
        left = np.stack([(one.logarithm + y.logarithm).numpy() for one, y in zip(found, read, strict=True)]) - truth
        before = np.stack([y.logarithm.numpy() for y in read]) - truth
        assert np.sqrt((left[:, -3:] ** 2).mean()) < 0.2 * np.sqrt((before[:, -3:] ** 2).mean())
        expected = np.stack([one.expected.numpy() for one in found])
        assert 0.5 < np.sqrt(((left / expected)[:, 2:] ** 2).mean()) < 1.3

    def test_the_first_pass_is_as_it_was_read(self):
        """Whatever the blood of animals was like, the first minute changes by what errors of readings share alone."""
        rng = np.random.default_rng(9)
        truth = falling(rng, 300, 0.5)
        correction = Correction()
        correction.fit([torch.from_numpy(falling(rng, 400, 0.5))], read_poorly(rng, truth), torch.from_numpy(truth))
        one = read_poorly(rng, 1.0 + 2.0 * falling(rng, 1, 0.5))[0]
        found = correction(one).logarithm[:6]
        assert found.abs().max() < 0.04

    def test_expected_error_grows_with_its_signs(self):
        """Nothing but the reading is known of the blood, and its error grows by √e for each unit of the sign."""
        rng = np.random.default_rng(6)
        truth = any_blood(7).numpy()
        correction = Correction()
        correction.fit([any_blood()], read_poorly(rng, truth), torch.from_numpy(truth))
        measured = torch.ones(COURSE, dtype=torch.bool)
        signs = torch.zeros(2, COURSE, 2, dtype=torch.float64)
        signs[1, :, 1] = 1.0
        usual, hot = (
            correction(ReadCourse(torch.zeros(COURSE, dtype=torch.float64), sign, measured)) for sign in signs
        )
        assert (hot.expected / usual.expected)[-3:].log().mean().item() == pytest.approx(0.5, abs=0.15)

    def test_other_families_are_told_by_the_reading(self):
        """Blood that falls slower belongs to the other family, and its tail is not drawn to the first."""
        rng = np.random.default_rng(8)
        fast, slow = falling(rng, 300, 0.8), falling(rng, 300, 0.3)
        truth = np.concatenate([fast[:150], slow[:150]])
        correction = Correction()
        families = [torch.from_numpy(one[150:]) for one in (fast, slow)]
        correction.fit(families, read_poorly(rng, truth), torch.from_numpy(truth))
        truth = falling(rng, 100, 0.3)
        read = read_poorly(rng, truth)
        left = np.stack([(correction(y).logarithm + y.logarithm).numpy() for y in read]) - truth
        assert abs(left[:, -3:].mean()) < 0.03
        assert np.sqrt((left[:, -3:] ** 2).mean()) < 0.1

    @torch.no_grad()
    def test_known_error_is_taken_off(self, examples, network):
        """A network that reads every scan too low by a factor is put right on a scan that took no part."""
        wrong = [read_too_low(network, example) for example in examples]
        (corrected,) = with_corrections([network], [any_blood()], wrong[:-1])
        scan = wrong[-1]
        found = predict(corrected, scan.scan)
        bolus = scan.whole_blood > 0.5 * scan.whole_blood.max()
        assert (found.whole_blood / scan.whole_blood)[bolus].tolist() == pytest.approx(
            [1.0] * int(bolus.sum()), abs=0.03
        )
        before = predict(network, scan.scan).whole_blood
        assert (before / scan.whole_blood)[bolus].max() < 0.85

    def test_case_states_what_was_read_and_the_truth(self, examples, network):
        ((read, truth),) = correction_cases([network], read_too_low(network, examples[0]))
        assert np.nanmedian((truth - read.logarithm).numpy()) == pytest.approx(np.log(ERROR), abs=0.02)
        assert torch.equal(truth.isfinite(), read.measured)

    def test_several_processes_fit_the_same(self, examples, network):
        with open_mapper(2) as mapper:
            (found,) = with_corrections([network], [any_blood()], examples, mapper=mapper)
        (expected,) = with_corrections([network], [any_blood()], examples)
        assert expected.correction.bias.any()
        torch.testing.assert_close(found.correction.state_dict(), expected.correction.state_dict())


class TestFamilies:
    def test_are_apart_by_population_and_tracer(self):
        sites = Sites("some", stream=77, other_tracers=0.5)
        seeds = range(8)
        fdg = sum(draw(seed, sites).mouse.tracer.name == "FDG" for seed in seeds)
        families = blood_families([*((sites, seed) for seed in seeds), (TRAINING, 5), (TRAINING, 6)])
        assert [len(family) for family in families] == [fdg, 8 - fdg, 2]
        assert len(families) <= FAMILIES

    def test_hold_means_over_windows_after_the_arrival(self):
        (family,) = blood_families([(TRAINING, 5)])
        time = np.arange(0.0, 4000.0, 0.05)
        blood = draw(5, TRAINING).mouse.blood.curve(time)
        arrived = time[np.argmax(blood >= 0.5 * blood.max())]
        for place in (4, 8, COURSE - 1):
            first, last = COURSE_EDGES[place : place + 2]
            within = (time >= arrived + first) & (time < arrived + last)
            assert np.exp(family[0, place].item()) - OFFSET == pytest.approx(blood[within].mean(), rel=0.02)
