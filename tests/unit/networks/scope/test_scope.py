"""Scope: hard checks, orientation, distances by aspect, on sound scans and on scans with faults."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.predict import Prediction
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.tissues import ARTERIAL, VENOUS, tissue_parts
from dlif_core.networks.prediction.unmixing import noise_confidence, unmix
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.scope.assessment import (
    Scope,
    Verdict,
    check_image,
    fit_scope,
    precheck,
    scope_features,
    scope_of,
    worst,
)
from dlif_core.networks.scope.features import (
    WINDOWS,
    PredictedScan,
    dose_share,
    paravenous_features,
    scan_features,
    window_means,
)
from dlif_core.networks.scope.orientation import reduced_image
from dlif_core.networks.training.examples import Example
from dlif_core.phantom import TRAINING, draw, simulate_coarse
from dlif_core.phantom.faults import simulate_fault_coarse
from dlif_core.phantom.injection import InjectionRanges
from dlif_core.phantom.scanner import MOUSE_FRAMES, frame_timing
from dlif_core.phantom.span import Span
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

TIMING = frame_timing(MOUSE_FRAMES)
SOUND_SEEDS, JUDGED_SEEDS = range(2000, 2044), range(2300, 2306)


def metadata_scan(timing=TIMING, shape=(96, 48, 48), size=(0.597, 0.5, 0.5), affine=None, **changed):
    """A scan whose values nobody reads."""
    acquisition = Acquisition("FDG", 6586.2, 8e6, 0.022, True, "mouse")
    regions = RegionCurves(("whole image",), np.ones((1, len(timing))), np.array([1.0]))
    image = np.broadcast_to(np.float32(1.0), (len(timing), *shape))
    affine = np.diag([*size[::-1], 1.0]) if affine is None else affine
    return DynamicScan(timing, replace(acquisition, **changed), regions, image, affine)


def true_prediction(scan):
    """As a network would predict that draws every tissue where it is, and no motion."""
    tissues = tissue_parts(scan.weights)
    duration = torch.tensor(scan.protocol.timing.duration)
    weight_map, curves = unmix(scan.activity, tissues, noise_confidence(scan.activity, duration))
    displacement, factor = torch.zeros(len(duration), 3), torch.ones(len(duration))
    shares = torch.stack([torch.ones(len(duration)), torch.zeros(len(duration))])
    maps = weight_map[[ARTERIAL, VENOUS]]
    return Prediction(curves[ARTERIAL], maps, shares, displacement, tissues, curves, factor, torch.zeros(()))


def arguments(scan):
    return true_prediction(scan), NetworkScan(scan.activity, scan.protocol.timing, scan.mouse.body_weight)


def with_axes(scan, order):
    """The scan with its axes z, y, x written in another order."""
    order = (0, *(1 + axis for axis in order))
    return replace(scan, activity=scan.activity.permute(order), weights=scan.weights.permute(order))


@pytest.fixture(scope="module")
def sound():
    return [scope_features(*arguments(simulate_coarse(*draw(seed, TRAINING)))) for seed in SOUND_SEEDS]


@pytest.fixture(scope="module")
def scope(sound):
    return scope_of(sound)


@pytest.fixture(scope="module")
def judged():
    """Other sound scans, of the usual injection and frames."""
    usual = replace(
        TRAINING,
        injection=InjectionRanges(),
        acquisition=replace(TRAINING.acquisition, schedules=(MOUSE_FRAMES,), end=Span((3600.0, 3600.0))),
    )
    return [simulate_coarse(*draw(seed, usual)) for seed in JUDGED_SEEDS]


def faulty(kind, count=4):
    return [simulate_fault_coarse(seed, TRAINING, kind) for seed in range(2400, 2400 + count)]


class TestVerdict:
    def test_the_worst_decides_and_all_reasons_are_kept(self):
        whole = worst(Verdict("doubtful", ("a",), 1.2), Verdict(score=0.3), Verdict("out of scope", ("b", "a"), 0.0))
        assert whole == Verdict("out of scope", ("b", "a"), 1.2)

    def test_nothing_to_say_is_in_scope(self):
        assert worst() == worst(Verdict()) == Verdict("in scope", (), 0.0)


class TestPrecheck:
    def test_the_usual_scan_is_in_scope(self):
        assert precheck(metadata_scan()) == Verdict()

    @pytest.mark.parametrize(
        ("changed", "state", "said"),
        [
            ({"species": "human"}, "out of scope", "knows mice only"),
            ({"species": ""}, "doubtful", "species is not stated"),
            ({"species": "Mus musculus"}, "in scope", ""),
            ({"species": "mice"}, "in scope", ""),
            ({"species": "House mouse"}, "in scope", ""),
            ({"tracer": "[18F]FLT"}, "in scope", ""),
            ({"tracer": ""}, "doubtful", "tracer is not stated"),
            ({"tracer": "[11C]raclopride", "half_life": 1221.8}, "in scope", ""),
            ({"half_life": 1221.8}, "out of scope", "half-life is 1222 s"),
            ({"tracer": "[11C]raclopride"}, "out of scope", "half-life is 6586 s, that of C11 1222 s"),
            ({"tracer": "68Ga-PSMA-11", "half_life": 6586.2}, "out of scope", "that of Ga68 4063 s"),
            ({"tracer": "64Cu-DOTATATE", "half_life": 4062.6}, "out of scope", "that of Cu64 45721 s"),
            ({"tracer": "[13N]NH3", "half_life": 122.24}, "out of scope", "that of N13 598 s"),
            ({"tracer": "Rb-82", "half_life": 75.0}, "in scope", ""),
            ({"tracer": "PSMA-11", "half_life": 4062.6}, "in scope", ""),
            ({"decay_corrected": False}, "out of scope", "not decay-corrected"),
            ({"injected_activity": None}, "out of scope", "no SUV"),
            ({"body_weight": None}, "out of scope", "no SUV"),
            ({"body_weight": 0.25}, "out of scope", "body weight is 250 g"),
            ({"body_weight": 0.045}, "doubtful", "body weight is 45 g"),
        ],
    )
    def test_metadata(self, changed, state, said):
        verdict = precheck(metadata_scan(**changed))
        assert verdict.state == state
        assert said in " ".join(verdict.reasons)

    @pytest.mark.parametrize(
        ("changed", "state", "said"),
        [
            ({"shape": (24, 12, 12), "size": (2.4, 2.0, 2.0)}, "out of scope", "voxels are 2.4 mm along z"),
            ({"shape": (48, 20, 20), "size": (1.2, 1.2, 1.2)}, "doubtful", "voxels are 1.2 mm along x"),
            ({"shape": (48, 96, 48)}, "out of scope", "28.7 mm along z"),
            ({"shape": (96, 48, 24)}, "out of scope", "12 mm along x"),
            ({"shape": (200, 48, 48)}, "doubtful", "119 mm along z, the model knows up to 110 mm: crop the image"),
            ({"shape": (96, 48, 400)}, "out of scope", "200 mm along x, the model knows up to 80 mm: crop the image"),
        ],
    )
    def test_voxels_and_field_of_view(self, changed, state, said):
        verdict = precheck(metadata_scan(**changed))
        assert verdict.state == state
        assert said in " ".join(verdict.reasons)

    def test_axes_by_the_affine(self):
        turned = np.diag([0.5, 0.5, 0.597, 1.0])[:, [1, 0, 2, 3]]
        verdict = precheck(metadata_scan(affine=turned))
        assert verdict.state == "out of scope"
        assert "axis x of the image runs along y" in verdict.reasons[0]
        assert precheck(metadata_scan(affine=np.diag([-0.5, -0.5, 0.597, 1.0]))).state == "in scope"

    @pytest.mark.parametrize(
        ("timing", "state", "said"),
        [
            (frame_timing(((9, 300.0),)), "out of scope", "1 frames start in the first 3 min"),
            (frame_timing(((8, 20.0), (8, 300.0))), "doubtful", "9 frames start"),
            (frame_timing(MOUSE_FRAMES, 500.0), "out of scope", "lasts 5.5 min"),
            (frame_timing(MOUSE_FRAMES, 700.0), "doubtful", "lasts 10.5 min"),
            (frame_timing(((24, 5.0), (9, 20.0), (17, 300.0))), "in scope", ""),
            (
                frame_timing(((24, 5.0), (9, 20.0), (20, 300.0))),
                "doubtful",
                "lasts 105 min; the model takes scans of 15 to 90",
            ),
            (FrameTiming(TIMING.start + 40.0, TIMING.duration), "doubtful", "starts 40 s after the injection"),
            (
                FrameTiming(np.delete(TIMING.start, range(5, 9)), np.delete(TIMING.duration, range(5, 9))),
                "doubtful",
                "nothing was recorded for 20 s",
            ),
        ],
    )
    def test_schedule(self, timing, state, said):
        verdict = precheck(metadata_scan(timing))
        assert verdict.state == state
        assert said in " ".join(verdict.reasons)

    def test_frames_before_the_injection_are_neither_early_frames_nor_is_a_gap_before_it_one(self):
        def after(start, duration, timing):
            return FrameTiming(np.append(start, timing.start), np.append(duration, timing.duration))

        assert precheck(metadata_scan(after([-300.0], [60.0], TIMING))).state == "in scope"
        few = after(np.arange(-100.0, 0.0, 10.0), [10.0] * 10, frame_timing(((9, 300.0),)))
        assert "1 frames start in the first 3 min" in precheck(metadata_scan(few)).reasons[0]

    def test_a_long_gap_is_named(self):
        kept = (TIMING.start < 300.0) | (TIMING.start > 900.0)
        verdict = precheck(metadata_scan(FrameTiming(TIMING.start[kept], TIMING.duration[kept])))
        assert verdict.state == "doubtful"
        assert verdict.reasons[0].startswith("nothing was recorded from 310 to 930 s")

    def test_a_scan_truncated_to_20_min_is_in_scope(self):
        assert precheck(metadata_scan(frame_timing(MOUSE_FRAMES, 1200.0))).state == "in scope"

    def test_region_curves_alone_are_out_of_scope(self):
        scan = replace(metadata_scan(), activity=None, affine=None)
        assert "no image" in precheck(scan).reasons[0]


class TestImage:
    def test_share_of_the_dose_is_activity_over_what_was_injected(self):
        """1.5 SUV in 20 mL of a body of 25 g are 1.2 times the injected activity."""
        activity = torch.zeros(len(TIMING), 50, 20, 20)
        activity[TIMING.start >= 30.0] = 1.5
        assert dose_share(NetworkScan(activity, TIMING, 0.025)) == pytest.approx(1.5 * 20.0 / 25.0)

    @pytest.mark.parametrize("factor", [1e3, 1e-3])
    def test_wrong_units_are_told_by_their_factor(self, judged, factor):
        _, scan = arguments(judged[0])
        verdict = check_image(scan.with_activity(factor * scan.activity))
        assert verdict.state == "out of scope"
        times = float(verdict.reasons[0].split(" times")[0].split()[-1])
        assert times == pytest.approx(factor, rel=1.0)
        assert check_image(scan).state == "in scope"

    def test_a_bolus_before_the_first_frame_is_doubtful(self, judged):
        _, scan = arguments(judged[0])
        late = FrameTiming(scan.timing.start[20:], scan.timing.duration[20:])
        verdict = check_image(NetworkScan(scan.activity[20:], late, scan.body_weight))
        assert verdict.state == "doubtful"
        assert "after the bolus arrived" in verdict.reasons[0]

    @pytest.mark.parametrize(("value", "said"), [(0.0, "empty"), (float("nan"), "not finite")])
    def test_an_image_without_values_is_out_of_scope(self, value, said):
        verdict = check_image(NetworkScan(torch.full((len(TIMING), 4, 4, 4), value), TIMING, 0.02))
        assert verdict.state == "out of scope"
        assert said in verdict.reasons[0]


class TestFeatures:
    def test_windows_are_means_or_missing(self):
        weights = window_means(frame_timing(MOUSE_FRAMES, 700.0), 40.0)
        exact = np.interp([60.0, 100.0], TIMING.mid, TIMING.mid).mean()
        assert weights[1] @ frame_timing(MOUSE_FRAMES, 700.0).mid == pytest.approx(exact, abs=1.0)
        assert np.isfinite(weights).all(axis=1).tolist() == [name not in list(WINDOWS)[4:] for name in WINDOWS]

    def test_twice_the_activity_doubles_the_blood_and_leaves_uptake_over_blood(self, judged):
        prediction, scan = arguments(judged[0])
        twice = prediction._replace(whole_blood=2 * prediction.whole_blood, curves=2 * prediction.curves)
        first = scan_features(PredictedScan(prediction, scan))
        second = scan_features(PredictedScan(twice, scan.with_activity(2 * scan.activity)))
        blood = "blood at 1-3 min"
        assert second["blood"][blood] - first["blood"][blood] == pytest.approx(np.log(2.0), abs=0.03)
        brain = "uptake of brain at 3-10 min"
        assert second["tissues"][brain] == pytest.approx(first["tissues"][brain], abs=0.06)

    def test_a_depot_lowers_the_blood_early_and_slows_its_fall(self):
        """A plateau of 1 SUV from 40 s on: (1 - f) + f (1 - e^(-rt)), r = 0.02 and 0.07 /min, f = 0.45 and 0.7."""
        blood = torch.from_numpy((TIMING.start >= 40.0).astype(np.float32))
        activity = blood[:, None, None, None] * torch.ones(len(TIMING), 4, 4, 4)
        nothing = torch.zeros(2, 4, 4, 4)
        both = torch.stack([blood, blood])
        prediction = Prediction(blood, nothing, both, blood, nothing, both, blood, blood[0])
        seen = PredictedScan(prediction, NetworkScan(activity, TIMING, 0.02))
        found = [np.exp(row["blood at 20-38 min"]) - 0.03 for row in paravenous_features(seen)]
        minutes = np.linspace(20.0, 38.0, 200)
        wanted = [1.0 - f * np.exp(-r * minutes).mean() for f in (0.45, 0.7) for r in (0.02, 0.07)]
        assert found == pytest.approx(wanted, abs=0.01)


class TestOrientation:
    def test_exchanged_axes_are_named(self, scope, judged):
        orientation = scope.orientation
        named = []
        for scan in judged[:3]:
            image = reduced_image(scan.activity, scan.protocol.timing)
            assert orientation.margin(image)[0] > 0.0
            assert orientation.margin(np.flip(image, -1))[0] == pytest.approx(orientation.margin(image)[0])
            for exchanged in (np.flip(image, -3), np.flip(image, -2), np.swapaxes(image, -1, -2)):
                margin, words = orientation.margin(exchanged)
                assert margin < 0.0
                named.append(words)
        assert named == ["head and tail", "back and belly", "the two axes across the body"] * 3

    def test_the_place_in_the_field_of_view_does_not_matter(self, judged):
        scan = judged[0]
        moved = torch.nn.functional.pad(scan.activity, (6, 2, 1, 7, 5, 0))
        image = reduced_image(scan.activity, scan.protocol.timing)
        other = reduced_image(moved, scan.protocol.timing)
        assert np.corrcoef(image.ravel(), other.ravel())[0, 1] > 0.9


class TestScope:
    def test_scope_featuress_are_mostly_in_scope(self, scope, judged):
        states = [scope.check(*arguments(scan)).state for scan in judged]
        assert states.count("in scope") >= len(judged) - 1
        assert "out of scope" not in states

    def test_wrong_units_are_out_of_scope(self, scope):
        for _, scan in faulty("units"):
            verdict = scope.check(*arguments(scan))
            assert verdict.state == "out of scope"
            assert "are the units Bq/mL" in verdict.reasons[0]

    @pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
    def test_swapped_axes_are_flagged(self, scope, judged, order):
        for scan in judged[:2]:
            verdict = scope.check(*arguments(with_axes(scan, order)))
            assert verdict.state != "in scope"
            assert "axes in order" in " ".join(verdict.reasons)

    def test_other_tracers_are_flagged(self, scope):
        verdicts = [scope.check(*arguments(scan)) for name, scan in faulty("tracer", 6) if "human" not in name]
        flagged = [verdict for verdict in verdicts if verdict.state != "in scope"]
        assert len(flagged) >= len(verdicts) - 1
        assert any("is the tracer FDG?" in reason for verdict in flagged for reason in verdict.reasons)

    def test_paravenous_injections_are_flagged(self, scope):
        verdicts = [scope.check(*arguments(scan)) for name, scan in faulty("paravenous", 6)]
        flagged = [verdict for verdict in verdicts if verdict.state != "in scope"]
        assert len(flagged) >= len(verdicts) - 1
        assert any("beside the vein" in reason for verdict in flagged for reason in verdict.reasons)

    def test_half_the_activity_is_not_laid_to_the_injection_alone(self, scope, judged):
        prediction, scan = arguments(judged[0])
        halved = prediction._replace(whole_blood=0.5 * prediction.whole_blood, curves=0.5 * prediction.curves)
        verdict = scope.check(halved, scan.with_activity(0.5 * scan.activity))
        said = " ".join(verdict.reasons)
        assert verdict.state != "in scope"
        assert "scale or unit of image, dose or weight" in said
        assert "beside the vein" in said

    def test_a_tracer_that_is_named_is_not_compared_with_fdg(self, scope):
        scans = [scan for name, scan in faulty("tracer", 6) if "human" not in name]
        verdicts = [scope.check(*arguments(scan), "[18F]FLT") for scan in scans]
        assert not any("FDG" in reason for verdict in verdicts for reason in verdict.reasons)
        assert [verdict.state for verdict in verdicts].count("in scope") >= len(verdicts) - 1

    def test_uptake_unlike_fdg_is_doubtful_at_most(self, scope, sound):
        strange = {name: value + 5.0 for name, value in sound[0].features["tissues"].items()}
        verdict = scope.judge(replace(sound[0], features={**sound[0].features, "tissues": strange}))
        assert verdict.state == "doubtful"
        assert "is the tracer FDG?" in verdict.reasons[0]

    def test_of_a_scan_with_faulty_frames_nobody_asks_for_the_tracer(self, scope, sound):
        strange = {name: value + 5.0 for name, value in sound[0].features["tissues"].items()}
        halved = sound[0].frames._replace(step=np.full(len(sound[0].frames.total) - 1, -0.7))
        scan = replace(sound[0], features={**sound[0].features, "tissues": strange}, frames=halved)
        (reason,) = scope.judge(scan).reasons
        assert "does the scale change" in reason

    def test_a_truncated_scan_is_judged_by_what_it_shows(self, scope, judged):
        prediction, scan = arguments(judged[0])
        kept = scan.timing.end <= 1200.0
        timing = FrameTiming(scan.timing.start[kept], scan.timing.duration[kept])
        short = NetworkScan(scan.activity[kept], timing, scan.body_weight)
        cut = prediction._replace(
            whole_blood=prediction.whole_blood[kept],
            curves=prediction.curves[:, kept],
            displacement=prediction.displacement[kept],
        )
        whole = scope.distances(scope_features(prediction, scan))
        part = scope.distances(scope_features(cut, short))
        assert 0.0 < part["blood"] < 1.0
        assert part["blood"] != pytest.approx(whole["blood"])
        assert part["tissues"] < 1.0

    def test_round_trip_through_json(self, scope, judged):
        again = Scope.from_dict(json.loads(json.dumps(scope.to_dict())))
        row = scope_features(*arguments(judged[1]))
        assert again.scans == scope.scans == len(SOUND_SEEDS)
        for aspect, distance in scope.distances(row).items():
            assert again.distances(row)[aspect] == pytest.approx(distance, rel=1e-2, abs=1e-2)

    def test_few_scans_tell_no_scope(self, sound):
        with pytest.raises(ConfigurationError, match="fitted to 19 scans"):
            scope_of(sound[:19])

    def test_fit_leaves_out_scans_that_miss_the_bolus(self, judged):
        """The only scan begins after the bolus, so that none is left."""
        late = FrameTiming(TIMING.start[20:], TIMING.duration[20:])
        curve = torch.zeros(len(late))
        tissues = tissue_parts(judged[0].weights)
        example = Example(NetworkScan(judged[0].activity[20:], late, 0.02), tissues, torch.zeros(len(late), 3), curve)
        with pytest.raises(ConfigurationError, match="fitted to 0 scans"):
            fit_scope([TissueNetwork((4, 4, 4))], None, [example])
