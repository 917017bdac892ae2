"""FC-DLIF: padding, its training and its folder."""

import numpy as np
import pytest
import torch

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.networks.bundle.model import Trained, load_model, load_published, save_published
from dlif_core.networks.prediction.fc_dlif import padded, predict_curve, published_loss, published_timing, to_frames
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.release.facts import trained_facts, training_log
from dlif_core.networks.training.examples import Example
from dlif_core.networks.training.fc_dlif import (
    PublishedRecipe,
    PublishedTraining,
    complete_scans,
    on_published_frames,
)
from dlif_core.networks.training.populations import LABORATORIES
from dlif_core.networks.training.splits import SplitManifest
from dlif_core.phantom import draw
from dlif_core.phantom.scanner import MOUSE_FRAMES, frame_timing

TIMING = frame_timing(MOUSE_FRAMES, np.inf)


@pytest.fixture(scope="module")
def example():
    image = torch.rand(42, 6, 5, 4, generator=torch.Generator().manual_seed(0))
    return Example(
        NetworkScan(image, TIMING, 0.025), torch.zeros(0, 6, 5, 4), torch.zeros(42, 3), image.mean(dim=(1, 2, 3))
    )


@pytest.fixture(scope="module")
def training(example):
    run = PublishedTraining(
        PublishedRecipe(steps=2, batch=1, learning_rate=1e-3, validate_every=2), [example], [example]
    )
    run.run()
    return run


class TestPadding:
    def test_adds_zeros_on_all_sides(self):
        image = torch.rand(2, 9, 5, 4)
        wide = padded(image)
        assert wide.shape == (2, 64, 32, 32)
        torch.testing.assert_close(wide[:, 27:36, 13:18, 14:18], image)
        assert float(wide.sum()) == pytest.approx(float(image.sum()), rel=1e-5)

    def test_leaves_large_images_alone(self):
        image = torch.rand(1, 70, 33, 32)
        assert padded(image) is image or torch.equal(padded(image), image)


class TestFrames:
    def test_published_frames_stay_as_they_are(self):
        assert published_timing(TIMING) == TIMING
        values = torch.rand(42, 2)
        torch.testing.assert_close(to_frames(values, TIMING, TIMING), values)

    def test_activity_over_time_is_kept(self):
        scan = frame_timing(((5, 2.0), (10, 20.0), (9, 300.0)), np.inf)
        values = torch.rand(24, 3, generator=torch.Generator().manual_seed(2)).double()
        frames = published_timing(scan)
        found = to_frames(values, scan, frames)
        assert frames.end[-1] == scan.end[-1]
        seconds, others = torch.tensor(scan.duration), torch.tensor(frames.duration)
        torch.testing.assert_close(others @ found, seconds @ values)

    def test_a_gap_takes_the_nearest_frame(self):
        scan = FrameTiming([0.0, 40.0], [30.0, 30.0])
        found = to_frames(torch.tensor([1.0, 3.0]), scan, FrameTiming([0.0, 36.0], [30.0, 2.0]))
        assert found.tolist() == [1.0, 3.0]

    @pytest.mark.parametrize(
        ("end", "frames", "last"),
        [(1200.0, 37, 1200.0), (2580.0, 42, 2580.0), (2579.0, 41, 2430.0), (3600.0, 45, 3600.0)],
    )
    def test_frames_follow_the_length_of_the_scan(self, end, frames, last):
        timing = published_timing(FrameTiming([-7.0], [end]))
        assert len(timing) == frames
        assert timing.end[-1] == pytest.approx(last - 7.0)
        assert timing.start[1] == 23.0


class TestTraining:
    def test_takes_only_scans_that_last_until_the_middle_of_the_last_frame(self):
        seeds = complete_scans(range(20), LABORATORIES)
        for seed in range(20):
            timing = draw(seed, LABORATORIES).protocol.timing
            assert (seed in seeds) == (timing.end[-1] - timing.start[0] >= 2580.0)
        assert 0 < len(seeds) < 20

    def test_learns_from_a_scan_of_other_frames_as_from_the_same_on_the_published_ones(self, example):
        other = frame_timing(((10, 15.0), (20, 60.0), (3, 600.0)), np.inf)
        image = torch.rand(33, 6, 5, 4, generator=torch.Generator().manual_seed(1))
        scan = Example(
            NetworkScan(image, other, 0.025), torch.zeros(0, 6, 5, 4), torch.zeros(33, 3), image.mean((1, 2, 3))
        )
        activity, whole_blood = on_published_frames(scan)
        assert activity.shape == (42, 6, 5, 4)
        torch.testing.assert_close(whole_blood, activity.mean(dim=(1, 2, 3)))
        same = Example(NetworkScan(activity, TIMING, 0.025), scan.tissues, torch.zeros(42, 3), whole_blood)
        run = PublishedTraining(PublishedRecipe(seed=1), [scan], [scan])
        assert run.error(run.network, scan) == pytest.approx(run.error(run.network, same), rel=1e-5)

    def test_rate_is_constant_as_published_or_falls(self):
        assert {PublishedRecipe().rate(step) for step in (0, 1000, 8750)} == {1e-4}
        falling = PublishedRecipe(steps=100, last_rate=0.1)
        assert [falling.rate(step) for step in (0, 50, 100)] == pytest.approx([1e-4, 0.55e-4, 1e-5])

    def test_loss_is_the_published_one_of_the_flipped_scan(self, example):
        run = PublishedTraining(PublishedRecipe(seed=1), [example], [example])

        class Draws:
            def __init__(self, *values):
                self.values = list(values)

            def random(self):
                return self.values.pop(0)

        loss = run.loss(example, Draws(0.9, 0.1))
        curve = predict_curve(run.network, example.scan.activity.flip(3))
        # half precision keeps about three digits
        expected = float(published_loss(curve[None], example.whole_blood[None]))
        assert float(loss.detach()) == pytest.approx(expected, rel=0.03)

    def test_resumes_to_the_same_bits(self, training, example, tmp_path):
        begun = PublishedTraining(training.recipe, [example], [example])
        begun.run(1)
        begun.save(tmp_path / "checkpoint.safetensors")
        resumed = PublishedTraining.resume(tmp_path / "checkpoint.safetensors", training.recipe, [example], [example])
        resumed.run()
        assert resumed.log == training.log
        for name, value in training.best.items():
            assert torch.equal(resumed.best[name], value)

    def test_a_checkpoint_of_another_recipe_or_none_is_refused(self, training, example, tmp_path):
        path = tmp_path / "checkpoint.safetensors"
        training.save(path)
        with pytest.raises(ConfigurationError, match="another recipe"):
            PublishedTraining.resume(path, PublishedRecipe(seed=8), [example], [example])
        path.write_bytes(b"no checkpoint")
        with pytest.raises(InputError, match="no checkpoint"):
            PublishedTraining.resume(path, training.recipe, [example], [example])


class TestFolder:
    @pytest.fixture
    def folder(self, training, tmp_path):
        facts = trained_facts([training], "one made-up scan", ["A limit."])
        splits = SplitManifest({"training": ("test:1",), "validation": ("test:2",)})
        save_published(
            tmp_path / "m", "published", Trained([training.best_network()], {}, facts, training_log([training]), splits)
        )
        return tmp_path / "m"

    def test_gives_the_same_curves(self, training, example, folder):
        loaded = load_published(folder)
        assert loaded.name == "published"
        assert torch.equal(
            predict_curve(loaded.networks[0], example.scan.activity),
            predict_curve(training.best_network(), example.scan.activity),
        )

    def test_is_no_model_for_analyses(self, folder):
        with pytest.raises(ConfigurationError, match="kind fc-dlif"):
            load_model(folder)

    def test_has_a_card(self, folder):
        card = (folder / "CARD.md").read_text()
        for said in ("research use only", "90124", "one made-up scan", "A limit.", "Comparison", "Not evaluated yet"):
            assert said in card
