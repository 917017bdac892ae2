"""Networks: layers as published, features, weight map, training."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from dlif_core.errors import ConfigurationError, InputError, NotFiniteError
from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.fc_dlif import FCDLIF, published_loss
from dlif_core.networks.prediction.features import WINDOW_EDGES, WINDOWS, arrival, features, window_matrix
from dlif_core.networks.prediction.predict import predict
from dlif_core.networks.prediction.resampling import displaced, to_network_grid
from dlif_core.networks.prediction.scan import NetworkScan, network_image
from dlif_core.networks.prediction.tissues import TISSUES
from dlif_core.networks.prediction.unmixing import frame_displacements, noise_confidence, unmix
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.prediction.weights import load_network, save_network
from dlif_core.networks.training.examples import Examples, load_example, make_example, save_example
from dlif_core.networks.training.tissue_network import Recipe, Training, curve_loss, example_loss, segmentation_loss
from dlif_core.phantom import TRAINING, Population, draw, simulate, simulate_coarse
from dlif_core.phantom.acquisition import AcquisitionRanges
from dlif_core.phantom.scanner import MOUSE_FRAMES, frame_timing
from dlif_core.phantom.span import Span

SMALL = (4, 6, 8)
TIMING = frame_timing(MOUSE_FRAMES, np.inf)


@pytest.fixture(scope="module")
def scan():
    return simulate_coarse(*draw(3, Population("test", 9)))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return TissueNetwork(SMALL)


def rmse(first, second):
    return float(np.sqrt(np.mean((np.asarray(first) - np.asarray(second)) ** 2)))


class TestFCDLIF:
    def test_has_the_published_layers(self):
        sizes = [parameter.numel() for parameter in FCDLIF().parameters()]
        assert len(sizes) == 18
        assert sum(sizes) == 90_124
        network = FCDLIF()
        assert sum(p.numel() for p in network.temporal.parameters()) == 2028

    def test_turns_a_scan_into_a_curve_in_proportion(self):
        network, image = FCDLIF(), torch.rand(1, 5, 64, 32, 32)
        curve = network(image).detach()
        assert curve.shape == (1, 5)
        with torch.no_grad():
            torch.testing.assert_close(network(2 * image), 2 * curve)

    def test_loss_weighs_late_frames_more(self):
        truth = torch.zeros(1, 42)
        early, late = truth.clone(), truth.clone()
        early[0, 3], late[0, 40] = 1.0, 1.0
        assert published_loss(late, truth) == pytest.approx(2.5 * published_loss(early, truth))


class TestFeatures:
    def test_windows_are_exact_means(self):
        """A quadrature of the frames' step function over each window."""
        weights, measured = window_matrix(TIMING, 36.0)
        values = np.random.default_rng(0).random(len(TIMING))
        time = np.arange(0.005, TIMING.end[-1], 0.01)
        steps = values[np.searchsorted(TIMING.end, time)]
        for k, (start, end) in enumerate(pairwise(WINDOW_EDGES)):
            inside = (time > start + 36.0) & (time < end + 36.0)
            assert weights[k] @ values == pytest.approx(steps[inside].mean(), rel=1e-3)
        assert measured.all()

    def test_windows_beyond_a_truncated_scan_are_missing(self, scan):
        keep = TIMING.end <= 1200.0
        timing = FrameTiming(TIMING.start[keep], TIMING.duration[keep])
        cut = features(NetworkScan(scan.activity[torch.from_numpy(keep)], timing, 0.022))
        whole = features(NetworkScan(scan.activity, TIMING, 0.022))
        assert cut.constants[:WINDOWS].tolist() == [1.0] * 10 + [0.0] * 2
        torch.testing.assert_close(cut.image[:10], whole.image[:10])
        assert not cut.image[10:].any()

    @pytest.mark.parametrize("shift", [-20.0, 15.0, 60.0])
    def test_follow_a_shifted_injection(self, scan, shift):
        """The same frames, timed otherwise, are the same scan."""
        later = FrameTiming(TIMING.start + shift, TIMING.duration)
        moved, still = (
            features(NetworkScan(scan.activity, later, 0.022)),
            features(NetworkScan(scan.activity, TIMING, 0.022)),
        )
        torch.testing.assert_close(moved.image, still.image)
        torch.testing.assert_close(moved.constants, still.constants)

    def test_of_other_schedules_agree(self):
        """The curve of the same mouse in other frames: windows agree to a part of their spread over the body."""
        mouse, grid, protocol = draw(4, replace(TRAINING, acquisition=AcquisitionRanges(motion=Span((0.0, 0.0)))))
        schedules = [MOUSE_FRAMES, ((24, 5.0), (9, 20.0), (10, 300.0)), ((30, 2.0), (6, 10.0), (6, 30.0), (8, 300.0))]
        images = []
        for schedule in schedules:
            timing = frame_timing(schedule, np.inf)
            coarse = simulate_coarse(mouse, grid, replace(protocol, timing=timing), noise=False)
            images.append(features(NetworkScan(coarse.activity, timing, mouse.body_weight)).image)
        for other in images[1:]:
            assert rmse(other[3:], images[0][3:]) < 0.1 * float(images[0][3:].std())

    def test_arrival_is_found_to_seconds_whatever_the_shift(self):
        for seed in range(4):
            coarse = simulate_coarse(*draw(seed, Population("test", 9)))
            total = coarse.activity.mean(dim=(1, 2, 3)).double().numpy()
            blood = coarse.input_function
            rise = blood.time[np.argmax(blood.whole_blood > 0.3 * blood.whole_blood.max())]
            assert abs(arrival(coarse.protocol.timing, total) - rise) < 15.0

    @pytest.mark.parametrize("before", [[(-60.0, 60.0)], [(-600.0, 600.0)], [(-900.0, 300.0), (-600.0, 540.0)]])
    def test_frames_before_the_injection_leave_the_arrival_where_it_is(self, before):
        coarse = simulate_coarse(*draw(0, TRAINING))
        total, timing = coarse.activity.mean(dim=(1, 2, 3)).double().numpy(), coarse.protocol.timing
        start, duration = np.array(before).T
        longer = FrameTiming(np.append(start, timing.start), np.append(duration, timing.duration))
        found = arrival(longer, np.append(np.full(len(start), 1e-3), total))
        assert found == pytest.approx(arrival(timing, total), abs=6.0)

    def test_a_long_frame_may_end_after_the_injection(self):
        total = np.array([0.01, 0.3, 1.0, 1.0, 1.0, 2.0, 3.0])
        timing = FrameTiming([-900, 5, 30, 60, 120, 600, 1200], [905, 25, 30, 60, 480, 600, 600])
        assert 5.0 < arrival(timing, total) < 60.0

    def test_one_long_frame_has_an_arrival(self):
        assert np.isfinite(arrival(FrameTiming([-60.0, 0.0], [60.0, 3600.0]), np.array([0.0, 1.0])))

    def test_a_scan_that_begins_after_the_arrival_is_noticed(self):
        assert arrival(TIMING, np.ones(len(TIMING))) == -15.0


class TestResampling:
    @pytest.mark.parametrize(("length", "size"), [(48, 0.5), (96, 0.597), (30, 1.7), (1, 0.3)])
    def test_averaging_keeps_constants_and_linear_slopes(self, length, size):
        place = (torch.arange(length, dtype=torch.float64) - 0.5 * (length - 1)) * size
        image = torch.stack([torch.ones_like(place), place])[:, None, None]
        constant, slope = to_network_grid(image, (1.0, 1.0, size))[:, 0, 0].numpy()
        np.testing.assert_allclose(constant, 1.0)
        assert abs(len(constant) - max(length * size, 1.0)) <= 0.5
        if length > 10 and size < 1:
            expected = np.arange(len(slope)) - 0.5 * (len(slope) - 1)
            np.testing.assert_allclose(slope[1:-1], expected[1:-1], atol=0.5 * size)

    def test_averages_blocks_exactly(self):
        image = torch.rand(2, 8, 6, 4)
        blocks = image.reshape(2, 4, 2, 3, 2, 2, 2).mean(dim=(2, 4, 6))
        torch.testing.assert_close(to_network_grid(image, (0.5, 0.5, 0.5)), blocks)

    def test_displacement_by_whole_voxels_is_exact_and_polynomials_are_kept(self):
        image = torch.rand(1, 9, 8, 7)
        moved = displaced(image, torch.tensor([[1.0, -2.0, 0.0]]))
        torch.testing.assert_close(moved[:, :-1, 2:], image[:, 1:, :-2])
        z = torch.arange(9.0)[None, :, None, None].expand(1, 9, 8, 7)
        bent = displaced(z**2, torch.tensor([[0.3, 0.4, -0.2]]))
        torch.testing.assert_close(bent[:, 2:-3], ((z + 0.3) ** 2)[:, 2:-3])

    def test_zoom_stretches_about_the_centre_and_keeps_polynomials(self):
        z = (torch.arange(11.0) - 5.0)[None, :, None, None].expand(1, 11, 4, 5)
        large = displaced(z**2, torch.zeros(1, 3), (1.25, 1.1, 0.9))
        torch.testing.assert_close(large, (z / 1.25) ** 2)
        small = displaced(z**2, torch.tensor([[0.5, 0.0, 0.0]]), (0.8, 1.1, 0.9))
        torch.testing.assert_close(small[:, 3:-4], ((z / 0.8 + 0.5) ** 2)[:, 3:-4])


class TestUnmixing:
    def test_recovers_the_curves_of_exact_mixtures(self):
        rng = torch.Generator().manual_seed(0)
        parts = torch.rand(4, 6, 7, 8, generator=rng)
        curves = torch.rand(4, 9, generator=rng)
        seen = torch.einsum("kf,kzyx->fzyx", curves, parts)
        unmixed = unmix(seen, parts, torch.ones(6, 7, 8))
        torch.testing.assert_close(unmixed.curves, curves, rtol=0.02, atol=0.02)

    def test_is_the_weighted_least_squares_solution(self):
        rng = np.random.default_rng(0)
        parts, seen, weight = rng.random((3, 4, 5, 6)), rng.random((7, 4, 5, 6)), rng.random((4, 5, 6)) + 0.1
        root = np.sqrt(weight).ravel()
        design = np.concatenate([parts.reshape(3, -1).T * root[:, None], np.sqrt(0.02) * np.eye(3)])
        target = np.concatenate([seen.reshape(7, -1).T * root[:, None], np.zeros((3, 7))])
        expected = np.linalg.lstsq(design, target, rcond=None)[0]
        unmixed = unmix(torch.from_numpy(seen), torch.from_numpy(parts), torch.from_numpy(weight))
        np.testing.assert_allclose(unmixed.curves, expected, rtol=1e-9)

    def test_true_tissues_give_the_true_curve_once_motion_is_put_right(self):
        """Half the error and less, and displacements to a tenth of a millimetre."""
        before, after, miss = [], [], []
        for seed in range(3):
            example = make_example(seed, Population("test", 9))
            confidence = noise_confidence(example.scan.activity, example.scan.seconds)
            found = frame_displacements(example.scan.activity, example.tissues, confidence)
            aligned = displaced(example.scan.activity, found)
            before.append(
                rmse(unmix(example.scan.activity, example.tissues, confidence).curves[0], example.whole_blood)
            )
            after.append(rmse(unmix(aligned, example.tissues, confidence).curves[0], example.whole_blood))
            miss.append(float((found - example.displacement).norm(dim=1).median()))
        assert np.median(after) < 0.6 * np.median(before)
        assert np.median(miss) < 0.1


class TestPrediction:
    def test_weights_explain_the_whole_curve(self, scan, network):
        found = predict(network, NetworkScan(scan.activity, scan.protocol.timing, scan.mouse.body_weight))
        aligned = displaced(scan.activity, found.displacement)
        explained = (found.frame_weights * aligned).sum(dim=(1, 2, 3))
        torch.testing.assert_close(found.whole_blood, explained, rtol=1e-4, atol=1e-4)

    def test_curve_in_activity_is_in_proportion_to_the_dose(self, network):
        mouse, grid, protocol = draw(3, Population("test", 9))
        first = simulate(mouse, grid, protocol).scan
        doubled = replace(
            first,
            activity=2.0 * first.activity,
            acquisition=replace(first.acquisition, injected_activity=2.0 * mouse.injected_activity),
        )
        image, other = network_image(first), network_image(doubled)
        assert torch.equal(image, other)  # a factor of two is exact
        coarse = simulate_coarse(mouse, grid, protocol)
        assert image.shape == coarse.activity.shape
        assert float(image.mean()) == pytest.approx(float(coarse.activity.mean()), rel=0.02)

    def test_needs_dose_and_image(self, scan):
        mouse, grid, protocol = draw(3, Population("test", 9))
        whole = simulate(mouse, grid, replace(protocol, timing=FrameTiming([0.0], [60.0]), motion=())).scan
        with pytest.raises(InputError, match="SUV"):
            network_image(replace(whole, acquisition=replace(whole.acquisition, body_weight=None)))
        with pytest.raises(InputError, match="image"):
            network_image(replace(whole, activity=None))

    def test_any_size_of_image(self, network):
        for shape in ((5, 6, 7), (9, 4, 12)):
            activity = torch.rand(len(TIMING), *shape)
            assert predict(network, NetworkScan(activity, TIMING, 0.02)).weight_maps.shape == (2, *shape)

    def test_file_keeps_the_network(self, network, scan, tmp_path):
        save_network(tmp_path / "n.safetensors", network)
        loaded = load_network(tmp_path / "n.safetensors")
        assert loaded.channels == SMALL
        assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), network.parameters(), strict=True))

    def test_others_may_read_the_file_if_they_may_read_files(self, network, tmp_path):
        (tmp_path / "plain").touch()
        save_network(tmp_path / "n.safetensors", network)
        assert (tmp_path / "n.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode

    def test_another_file_is_refused(self, tmp_path):
        (tmp_path / "n.safetensors").write_bytes(b"something else")
        with pytest.raises(InputError, match="not a tissue network"):
            load_network(tmp_path / "n.safetensors")


class TestTraining:
    def test_lowers_the_loss_and_resumes_to_the_same_bits(self, examples, tmp_path):
        recipe = Recipe(channels=SMALL, steps=20, learning_rate=0.01, warm_up=3, validate_every=5)
        whole = Training(recipe, examples, examples[:1])
        whole.run()
        assert whole.finished
        assert whole.log[-1].loss < 0.8 * whole.log[0].loss

        stopped = Training(recipe, examples, examples[:1])
        stopped.run(updates=9)
        stopped.save(tmp_path / "training.safetensors")
        resumed = Training.resume(tmp_path / "training.safetensors", recipe, examples, examples[:1])
        resumed.run()
        assert resumed.log == whole.log
        assert all(
            torch.equal(a, b) for a, b in zip(resumed.network.parameters(), whole.network.parameters(), strict=True)
        )
        assert all(torch.equal(resumed.best[name], value) for name, value in whole.best.items())

    def test_a_checkpoint_of_another_recipe_is_refused(self, examples, tmp_path):
        recipe = Recipe(channels=SMALL, steps=2)
        Training(recipe, examples, examples).save(tmp_path / "training.safetensors")
        with pytest.raises(ConfigurationError, match="another recipe"):
            Training.resume(tmp_path / "training.safetensors", replace(recipe, seed=1), examples, examples)

    def test_ends_when_validation_no_longer_improves(self, examples):
        recipe = Recipe(channels=SMALL, steps=50, learning_rate=0.0, validate_every=1, patience=2)
        training = Training(recipe, examples[:1], examples[:1])
        training.run()
        assert training.step == 3

    def test_losses_vanish_for_the_truth(self, examples):
        example = examples[0]
        assert float(curve_loss(example.whole_blood, example.whole_blood, example.scan.timing)) == pytest.approx(0.01)
        background = (1.0 - example.tissues.sum(dim=0, keepdim=True)).clamp(min=0.0)
        logits = torch.cat([background, example.tissues]).clamp(min=1e-12).log()
        assert float(segmentation_loss(logits, example.tissues)) == pytest.approx(0.0, abs=1e-5)

    def test_frames_whose_blood_is_unknown_dont_count(self, examples):
        """The loss and its gradient are those of the other frames."""
        scan, known = examples[0].scan, len(examples[0].scan.timing) - 4
        truth, predicted = examples[0].whole_blood.clone(), 1.1 * examples[0].whole_blood + 0.1
        truth[known:] = torch.nan
        predicted.requires_grad_()
        loss = curve_loss(predicted, truth, scan.timing)
        loss.backward()
        assert loss.item() == pytest.approx(
            curve_loss(predicted[:known], truth[:known], scan.timing.first(known)).item()
        )
        assert bool(torch.isfinite(predicted.grad).all())
        assert not predicted.grad[known:].any()

    def test_a_loss_that_is_not_finite_ends_the_training(self, examples):
        unknown = replace(examples[0], whole_blood=torch.full_like(examples[0].whole_blood, torch.nan))
        training = Training(Recipe(channels=SMALL, steps=1), [unknown], [examples[0]])
        with pytest.raises(NotFiniteError, match="loss is nan at update 1"):
            training.run()

    def test_small_tissues_count_as_much_as_large_ones(self):
        """Where half of a tissue is found the loss is the same, be it 60 voxels or 6,000."""
        parts = torch.zeros(1 + len(TISSUES), 20, 20, 20)
        small, large = (1 + TISSUES.index(name) for name in ("tumour", "muscle"))
        parts[small].view(-1)[:60] = 1.0
        parts[large].view(-1)[60:6060] = 1.0
        parts[0] = 1.0 - parts.sum(dim=0)
        losses = []
        for tissue in (small, large):
            drawn = parts.clone()
            drawn[tissue] *= 0.5
            drawn[0] += parts[tissue] - drawn[tissue]
            losses.append(float(segmentation_loss(drawn.clamp(min=1e-9).log(), parts[1:])))
        assert losses[0] == pytest.approx(losses[1], rel=0.4)

    def test_without_fit_only_the_segmentation_teaches(self, examples):
        recipe = Recipe(channels=SMALL, fit=0.0, drawing=7.0)
        training = Training(recipe, examples, examples)
        example, rng = examples[0], np.random.default_rng(0)
        changed = replace(example, whole_blood=3.0 * example.whole_blood)
        losses = [example_loss(training.network, one, recipe, rng, "float32").item() for one in (example, changed)]
        assert losses[0] == losses[1] > 0.0


class TestExamples:
    def test_are_kept_once_made(self, tmp_path):
        examples = Examples(tmp_path, TRAINING, [5])
        first = examples[0]
        (path,) = tmp_path.iterdir()
        changed = path.stat().st_mtime_ns
        again = examples[0]
        assert path.stat().st_mtime_ns == changed
        torch.testing.assert_close(first.scan.activity, again.scan.activity)

    def test_files_keep_them_to_their_precision(self, tmp_path):
        example = make_example(6, TRAINING)
        save_example(tmp_path / "example.npz", example)
        read = load_example(tmp_path / "example.npz")
        torch.testing.assert_close(read.scan.activity, example.scan.activity, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(read.tissues, example.tissues, rtol=0.0, atol=0.0032)
        assert read.scan.timing == example.scan.timing
        assert read.tissues.shape[0] == len(TISSUES)

    def test_no_examples_are_refused(self, tmp_path):
        with pytest.raises(ConfigurationError, match="no examples"):
            Examples(tmp_path, TRAINING, [])
