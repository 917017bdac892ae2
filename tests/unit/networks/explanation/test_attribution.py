"""Explanations of learned input functions, and the checks that they can fail."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from dlif_core.errors import ConfigurationError
from dlif_core.kinetics import FitSettings, fit_regions
from dlif_core.networks.explanation.attribution import explain, explain_scan
from dlif_core.networks.explanation.checks import (
    deletion,
    dilated_blood,
    explanation_metrics,
    pools_of,
    share_in,
)
from dlif_core.networks.explanation.explained_scan import explained_scan
from dlif_core.networks.explanation.occlusion import frame_matrix, occluded_region, occluded_windows
from dlif_core.networks.explanation.relevance import relevance
from dlif_core.networks.explanation.targets import Target, curve_target, make_target
from dlif_core.networks.prediction.features import WINDOWS
from dlif_core.networks.prediction.resampling import network_affine
from dlif_core.networks.prediction.tissues import ARTERIAL, TISSUES, VENOUS, tissue_parts
from dlif_core.networks.prediction.weight_map import Segmentation, TissueNetwork
from dlif_core.phantom import TRAINING, Population, draw, simulate, simulate_coarse
from dlif_core.phantom.anatomy import BLOOD_POOLS

SMALL = (4, 6, 8)


@pytest.fixture(scope="module")
def network(members):
    return members[0]


@pytest.fixture(scope="module")
def seen(network, members, hearts):
    """A scan and two networks, of which the second corrects its curve."""
    other = deepcopy(members[1])
    other.correction.site.fill_(0.2)
    example = hearts[0]
    return explained_scan([network, other], example.scan)


class TestTargets:
    @pytest.fixture
    def scan(self):
        mouse, grid, protocol = draw(3, Population("test", 9, irreversible=True))
        return simulate(mouse, grid, replace(protocol, motion=()))

    def test_are_the_metrics_they_name(self, scan):
        timing = scan.scan.timing
        curve = torch.rand(2, len(timing), dtype=torch.float64)
        mean, minutes = curve.mean(dim=0).numpy(), timing.duration / 60
        since = timing.mid - timing.start[0]
        assert float(curve_target("auc", timing).value(curve)) == pytest.approx(mean @ minutes)
        assert float(curve_target("peak", timing).value(curve)) == pytest.approx(mean.max())
        late = since > 600
        assert float(curve_target("tail", timing).value(curve)) == pytest.approx(
            mean[late] @ minutes[late] / minutes[late].sum()
        )
        assert float(make_target("time:1.0", scan.scan).value(curve)) == pytest.approx(
            mean[(timing.start <= 60) & (timing.end > 60)].item()
        )
        expected = curve.numpy().var(axis=0, ddof=1) @ minutes / minutes.sum()
        assert float(curve_target("spread", timing).value(curve)) == pytest.approx(expected)

    def test_ki_is_that_of_the_patlak_plot(self, scan):
        """As the kinetic models fit it, with the true curve."""
        target = make_target("ki:brain", scan.scan)
        factor = scan.scan.acquisition.suv_factor
        whole_blood = torch.from_numpy(factor * scan.truth.input_function.frame_average(scan.scan.timing)[0])
        fitted = fit_regions(scan.scan, scan.truth.input_function, FitSettings("patlak", t_star=10.0))
        expected = float(fitted["Ki"].sel(region="brain"))
        assert float(target.value(whole_blood[None])) == pytest.approx(expected, rel=0.03)

    def test_unknown_ones_are_refused(self, scan):
        for name in ("nonsense", "time:x", "time:999", "ki:nowhere"):
            with pytest.raises(ConfigurationError):
                make_target(name, scan.scan)


class TestRelevance:
    @pytest.mark.parametrize("name", ["auc", "peak", "spread"])
    def test_adds_up_to_the_metric(self, seen, name):
        found = relevance(seen, curve_target(name, seen.timing), steps=8)
        with torch.no_grad():
            curves = seen.curves(seen.activity)
        if name == "spread":
            expected = float(curve_target(name, seen.timing).value(curves))
        else:
            expected = np.mean([float(curve_target(name, seen.timing).value(curve[None])) for curve in curves])
        assert found.value == pytest.approx(expected, rel=1e-5)
        assert found.gap < 0.05
        np.testing.assert_allclose(found.frames.sum(axis=1), found.voxels.sum(axis=(1, 2, 3)), rtol=1e-4)

    def test_of_a_segmentation_that_does_not_depend_on_the_image_is_the_weight_map(self, seen, monkeypatch):
        """A network whose last weights are zero finds the same everywhere; noise is taken as even."""
        for module in ("explanation.explained_scan", "prediction.predict"):
            monkeypatch.setattr(
                f"dlif_core.networks.{module}.noise_confidence", lambda image, _: torch.ones_like(image[0])
            )
        constant = TissueNetwork(SMALL).eval()
        torch.nn.init.zeros_(constant.out.weight)
        one = explained_scan((constant,), seen.scan)
        found = relevance(one, curve_target("auc", seen.timing))
        minutes = torch.from_numpy(seen.timing.duration / 60).float()
        read = torch.einsum("f,fzyx->zyx", minutes, one.activity * one.prediction.frame_weights)
        np.testing.assert_allclose(found.voxels[0], read.numpy(), rtol=1e-3, atol=1e-4 * float(read.abs().max()))

    def test_of_a_metric_that_is_zero_there_is_none(self, seen, network):
        """Two members that agree have no spread to share out."""
        agreed = explained_scan((network, network), seen.scan)
        found = relevance(agreed, curve_target("spread", seen.timing), steps=2)
        assert found.value == found.gap == 0.0
        assert not found.voxels.any()

    def test_of_ki_adds_up_to_its_negative(self, seen):
        """Ki falls in proportion as the curve rises."""
        rate = Target("ki", "", "", lambda curves: 3.0 / curves.mean(dim=0).mean(), first_order=True)
        whole = float(rate.value(torch.from_numpy(seen.prediction.whole_blood)[None]))
        found = relevance(seen, rate, steps=8)
        assert found.value == pytest.approx(-whole, rel=1e-4)
        assert found.gap < 0.05

    def test_steady_part_is_where_members_agree(self, seen):
        found = relevance(seen, curve_target("auc", seen.timing), steps=4)
        mean, deviation = found.voxels.mean(axis=0), found.voxels.std(axis=0, ddof=1)
        kept = found.steady != 0
        assert 0 < kept.mean() < 1
        assert (np.abs(mean[kept]) > deviation[kept]).all()
        np.testing.assert_array_equal(found.steady[kept], mean[kept])


class TestOcclusion:
    def test_of_a_region_is_that_of_the_image_in_which_it_looks_average(self, network, hearts):
        """The image is the same to the bit, so the tolerance is that of one division."""
        example = hearts[1]
        one = explained_scan([network], example.scan)
        target = curve_target("peak", example.scan.timing)
        region = torch.zeros(example.scan.activity.shape[1:])
        assert occluded_region(one, target, region) == 0.0
        region[8:14, 6:12, 6:12] = 1.0
        image, body = one.activity.clone(), one.activity.mean(dim=0) > 0.2
        image[:, 8:14, 6:12, 6:12] = one.activity[:, body].mean(dim=1)[:, None, None, None]
        with torch.no_grad():
            expected = 1 - float(one.curves(image).max() / one.curves(one.activity).max())
        assert abs(expected) > 0.01
        assert occluded_region(one, target, region) == pytest.approx(expected, abs=1e-6)

    def test_of_windows_changes_the_segmentation_alone(self, network, hearts):
        """A segmentation that does not depend on the image is not changed."""
        example = hearts[1]
        constant = TissueNetwork(SMALL).eval()
        torch.nn.init.zeros_(constant.out.weight)
        target = curve_target("auc", example.scan.timing)
        one = explained_scan([constant], example.scan)
        np.testing.assert_allclose(np.nan_to_num(occluded_windows(one, target)), 0.0, atol=1e-6)
        learned = explained_scan([network], example.scan)
        changes = occluded_windows(learned, target)
        assert len(changes) == WINDOWS
        assert np.nanmax(np.abs(changes)) > 1e-4

    def test_frame_matrix_is_the_derivative(self, seen):
        """Brightening one frame by a little changes the curve as its column says."""
        matrix, frame, small = frame_matrix(seen), 20, 0.01
        brighter = seen.activity.clone()
        brighter[frame] *= 1 + small
        with torch.no_grad():
            change = (seen.curves(brighter) - seen.curves(seen.activity)).mean(dim=0) / small
        np.testing.assert_allclose(matrix[:, frame], change.numpy(), atol=0.05 * np.abs(matrix[:, frame]).max())


class TestExplanation:
    def test_has_what_reports_show(self, seen):
        target = curve_target("auc", seen.timing)
        explained = explain(seen, [target], {"all": torch.ones(seen.activity.shape[1:])}, steps=2)
        assert explained["relevance"].dims == ("target", "z", "y", "x")
        assert explained.sizes["window"] == WINDOWS
        np.testing.assert_allclose(
            float(explained["relevance"].sum()), float(explained["relevance_frames"].sum()), rtol=1e-3
        )
        np.testing.assert_allclose(
            float(explained["relevance"].sum()), float(explained["relevance_region"].sum()), rtol=1e-3
        )

    def test_of_a_scan_lies_where_the_scan_lies(self):
        network = TissueNetwork(SMALL).eval()
        mouse, grid, protocol = draw(3, Population("test", 9))
        scan = simulate(mouse, grid, protocol).scan
        explained = explain_scan([network], replace(scan, labels=None), ["auc"])
        affine = np.array(explained.attrs["affine"])
        shape = np.array(explained["weight_map"].shape[::-1])
        centre = affine[:3, :3] @ ((shape - 1) / 2) + affine[:3, 3]
        size = np.array(scan.activity.shape[:0:-1])
        expected = scan.affine[:3, :3] @ ((size - 1) / 2) + scan.affine[:3, 3]
        np.testing.assert_allclose(centre, expected, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), 1.0)

    def test_affine_of_the_same_voxels_is_the_same(self):
        affine = np.array([[-1.0, 0, 0, 5], [0, 1.0, 0, 2], [0, 0, 1.0, -3], [0, 0, 0, 1]])
        np.testing.assert_allclose(network_affine(affine, (9, 8, 7)), affine)


class TestChecks:
    @pytest.fixture
    def scan(self):
        return simulate_coarse(*draw(3, TRAINING))

    @staticmethod
    def segmenting(tissues):
        """A network that finds these tissues whatever it sees."""
        network = TissueNetwork(SMALL).eval()
        found = Segmentation(tissues, torch.ones(tissues.shape[1:]), tissues.clamp(min=1e-6).log())
        network.forward = lambda described: found
        return network

    def test_true_tissues_pass(self, scan):
        found = explanation_metrics([self.segmenting(tissue_parts(scan.weights))], scan, steps=4)
        assert found.pointed
        assert found.reading_pointed
        assert min(found.blood_share, found.reading_blood_share) > 3.0
        assert found.deletion < 0.6
        assert found.gap < 0.05
        assert abs(found.randomisation) < 0.2

    def test_tissues_in_the_wrong_place_fail(self, scan):
        """The brain is taken for the blood."""
        tissues = tissue_parts(scan.weights)
        swapped, brain = tissues.clone(), TISSUES.index("brain")
        swapped[0], swapped[brain] = tissues[brain], tissues[0]
        found = explanation_metrics([self.segmenting(swapped)], scan, steps=4)
        assert not found.pointed
        assert not found.reading_pointed
        assert found.blood_share < 3.0

    def test_in_the_first_pass_veins_are_the_wrong_place(self, scan):
        """The veins are taken for the arteries; the left ventricle and the arteries for veins."""
        tissues = tissue_parts(scan.weights)
        swapped = tissues[[VENOUS, ARTERIAL, *range(2, len(tissues))]]
        right, wrong = (
            explanation_metrics([self.segmenting(one)], scan, "peak", steps=4) for one in (tissues, swapped)
        )
        assert right.reading_pointed
        assert not wrong.reading_pointed
        assert wrong.reading_blood_share < right.reading_blood_share

    def test_late_blood_is_that_of_all_pools(self, scan):
        assert pools_of("peak") == pools_of("early-auc") == ("aorta", "left_ventricle")
        assert pools_of("tail") == pools_of("auc") == BLOOD_POOLS
        arterial, blood = dilated_blood(scan, pools_of("peak")), dilated_blood(scan, pools_of("tail"))
        assert 0 < arterial.sum() < blood.sum()
        assert not (arterial & ~blood).any()

    def test_deletion_tells_a_good_order_from_a_bad_one(self):
        figure = np.zeros((4, 5, 6))
        figure[1, 2, 3] = 1.0

        def left(mask):
            return float((torch.from_numpy(figure) * mask).sum())

        assert deletion(figure, left) < 0.2
        assert deletion(-figure, left) > 1.0

    def test_share_and_blood_mask(self, scan):
        blood = dilated_blood(scan)
        assert 0.005 < blood.mean() < 0.05
        assert share_in(blood.astype(float), blood) == 1.0
        assert share_in(np.ones(blood.shape), blood) == pytest.approx(blood.mean())


class ReadsTheCorner(TissueNetwork):
    """Takes what is bright in a corner for the blood, and all else for muscle.

    A network that is trained on such scans depends on its seed and on the rounding of the processor: some learn to read
    the corner alone, others in part.
    """

    def forward(self, features):
        bright = features.image[:, *CUE].amax(dim=0)
        tissues = torch.zeros(len(TISSUES), *features.image.shape[1:])
        tissues[TISSUES.index("muscle")] = features.image[-1] / (1.0 + features.image[-1])
        tissues[:, *CUE] = 0.0
        tissues[ARTERIAL, *CUE] = bright / (1.0 + bright)
        return Segmentation(tissues, torch.ones(tissues.shape[1:]), tissues.clamp(min=1e-6).log())


CUE = (slice(1, 5),) * 3


def test_a_planted_cue_is_exposed(hearts):
    """A cube in a corner shows the true curve; the explanation of a network that reads it there points there."""
    scan, blood = hearts[3].scan, hearts[3].whole_blood
    activity = scan.activity.clone()
    activity[:, *CUE] = blood[:, None, None, None]
    seen = explained_scan([ReadsTheCorner(SMALL).eval()], scan.with_activity(activity))
    error = np.abs(seen.prediction.whole_blood - blood.numpy()).mean()
    without = explained_scan([ReadsTheCorner(SMALL).eval()], scan).prediction.whole_blood
    assert error < 0.5 * np.abs(without - blood.numpy()).mean()

    shares = relevance(seen, curve_target("auc", scan.timing)).voxels[0]
    cue = np.zeros(shares.shape, bool)
    cue[CUE] = True
    assert cue.flat[shares.argmax()]
    assert share_in(shares, cue) > 10 * cue.mean()
