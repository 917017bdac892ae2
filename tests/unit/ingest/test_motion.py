"""Motion correction: a phantom that was drawn in known places is brought back, and a still one stays as it is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlif_core.checks import Timeline
from dlif_core.errors import ConfigurationError, ImageError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.ingest import motion
from dlif_core.ingest.corrections import Corrections, corrected
from dlif_core.ingest.motion import MotionCorrection
from dlif_core.ingest.reader import IngestedScan
from dlif_core.ingest.regions import label_means, region_curves
from dlif_core.scan import Acquisition, DynamicScan
from dlif_core.study.config import parse_study

sitk = pytest.importorskip("SimpleITK")

EDGES = np.array([2.5, 2.0, 1.8])  # z, y, x [mm]
SHAPE = (24, 30, 28)
AFFINE = np.array([[-EDGES[2], 0, 0, 20], [0, EDGES[1], 0, -20], [0, 0, EDGES[0], -20], [0, 0, 0, 1.0]])
CENTRE = 0.5 * (np.array(SHAPE) - 1) * EDGES
#: Ellipsoids: place z, y, x from the centre and half axes [mm]; the first is the head that holds the others.
PARTS = (
    ((0, 0, 0), (22, 24, 18)),
    ((6, 8, -5), (7, 6, 5)),
    ((-5, -9, 6), (6, 8, 5)),
    ((9, -7, -6), (5, 5, 5)),
    ((-9, 10, 5), (5, 6, 6)),
)
#: Activity that each adds, shape (frames, parts): what is bright changes.
ACTIVITY = np.array([[8, 9, 2, 6, 3], [10, 9, 5, 7, 6], [10, 8, 8, 8, 9], [9, 8, 10, 8, 11], [9, 7, 11, 8, 12]])
#: Width of the blurred edge, as a share of the half axes.
EDGE = 0.08


def turned(degrees: tuple[float, float, float]) -> np.ndarray:
    """Rotation about z, then y, then x, for coordinates (z, y, x)."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        one, two = [number for number in range(3) if number != axis]
        step = np.eye(3)
        step[one, one] = step[two, two] = np.cos(angle)
        step[one, two], step[two, one] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    return turn


def drawn(frame: int, shift: tuple[float, ...] = (0, 0, 0), degrees: tuple[float, ...] = (0, 0, 0)) -> np.ndarray:
    """The phantom in a place, from its formula, with no interpolation."""
    places = np.stack(np.indices(SHAPE), axis=-1) * EDGES - CENTRE
    image = np.zeros(SHAPE)
    for (place, axes), activity in zip(PARTS, ACTIVITY[frame], strict=True):
        own = (places - shift) @ turned(degrees) - np.array(place)
        radius = np.linalg.norm(own / axes, axis=-1)
        image += 100 * activity / (1 + np.exp((radius - 1) / EDGE))
    return image


def scan(image: np.ndarray, duration: Any = 600.0, labels: np.ndarray | None = None) -> IngestedScan:
    lengths = np.broadcast_to(np.asarray(duration, float), len(image))
    timing = FrameTiming(np.cumsum(lengths) - lengths, lengths)
    found = np.ones(SHAPE, np.int32) if labels is None else labels
    names = {1: "whole image"} if labels is None else {1: "spot"}
    means = label_means(image, found, EDGES.prod(), "image")
    curves, _ = region_curves(means, names, EDGES.prod(), "labels")
    made = DynamicScan(
        timing, Acquisition("FDG", 6586.2), curves, image, AFFINE, labels, {} if labels is None else names
    )
    return IngestedScan(made, (), image=means.image, timeline=Timeline(), places={"image": "image"})


def noisy(image: np.ndarray, share: float = 0.03) -> np.ndarray:
    return (image + share * image.max() * np.random.default_rng(0).normal(size=image.shape)).astype(np.float32)


def frames(read: IngestedScan) -> list[dict[str, Any]]:
    return list(read.provenance["motion"]["frames"])


ON = Corrections(motion=MotionCorrection())


def error(found: dict[str, Any], shift: tuple[float, ...], degrees: tuple[float, ...]) -> float:
    """Mean distance [mm] between where voxels of the head were moved to and where they are found."""
    places = np.argwhere(drawn(4) > 500) * EDGES - CENTRE
    transform = sitk.Euler3DTransform([0.0] * 3, *np.radians(found["rotation [deg]"]), found["translation [mm]"])
    moved = np.array([transform.TransformPoint(place[::-1].tolist()) for place in places])[:, ::-1]
    return float(np.linalg.norm(places @ turned(degrees).T + shift - moved, axis=1).mean())


def test_shifts_and_rotations_are_brought_back() -> None:
    still = (0.0, 0.0, 0.0)
    shifts, angles = {1: (3.0, -4.0, 2.5)}, {1: (6.0, 0.0, -4.0), 2: (0.0, 8.0, 0.0)}
    places = [(shifts.get(frame, still), angles.get(frame, still)) for frame in range(5)]
    image = noisy(np.array([drawn(frame, *place) for frame, place in enumerate(places)]))
    spot = (drawn(3) > 0.9 * drawn(3).max()).astype(np.int32)
    truth = np.array([drawn(frame)[spot == 1].mean() for frame in range(5)])
    moved = scan(image, labels=spot)
    assert np.abs(moved.scan.regions.activity[0] / truth - 1).max() > 0.1
    with corrected(moved, ON) as made:
        for found, place in zip(frames(made), places, strict=True):
            assert error(found, *place) < 0.25 * EDGES.min()
        assert frames(made)[1]["displacement [mm]"] == pytest.approx(error(frames(made)[1], still, still), abs=0.3)
        np.testing.assert_allclose(made.scan.regions.activity[0], truth, rtol=0.03)
        assert made.scan.regions.names == ("spot",)
        assert made.findings[-1].message.endswith("in frame 2.")


def test_a_still_scan_stays_as_it_is() -> None:
    image = noisy(np.array([drawn(frame) for frame in range(5)]))
    with corrected(scan(image), ON) as made:
        np.testing.assert_array_equal(made.scan.activity[...], image)
        np.testing.assert_allclose(made.scan.regions.activity, scan(image).scan.regions.activity)
        assert max(frame["displacement [mm]"] for frame in frames(made)) < 0.2 * EDGES.min()
        assert not any(frame["moved"] for frame in frames(made))


def test_a_frame_with_few_counts_moves_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.array([drawn(1, (0, 4.0, 0)), drawn(1, (0, 4.0, 0)), *(drawn(frame) for frame in (2, 3, 4))])
    image[0] = np.random.default_rng(1).normal(0.01 * image[1].mean(), 20, SHAPE)
    with corrected(scan(image, [10, 600, 600, 600, 600]), ON) as made:
        first, second = frames(made)[:2]
        assert (first["registered"], second["registered"]) == (2, 2)
        assert first["translation [mm]"] == second["translation [mm]"]
        assert first["translation [mm]"][1] == pytest.approx(4, abs=0.5)


def test_a_frame_unlike_the_reference_moves_with_the_next() -> None:
    bolus = np.zeros(SHAPE)
    bolus[2:5, 2:6, 3:7] = 20000
    image = np.array([bolus, *(drawn(frame) for frame in (1, 2, 3, 4))])
    with corrected(scan(image), ON) as made:
        assert frames(made)[0]["registered"] == 2
        np.testing.assert_array_equal(made.scan.activity[0], bolus.astype(np.float32))


def test_the_reference_is_that_of_the_study() -> None:
    image = np.array([drawn(2), drawn(2), drawn(2, (0, 0, 4.0))])
    with corrected(scan(image), Corrections(motion=MotionCorrection(reference=(0, 15)))) as made:
        assert made.provenance["motion"]["reference frames"] == [1, 2]
        assert frames(made)[2]["translation [mm]"][0] == pytest.approx(4, abs=0.4)
    with (
        pytest.raises(InputError, match="no frame"),
        corrected(scan(image), Corrections(motion=MotionCorrection(reference=(90, 95)))),
    ):
        pass


def test_a_long_last_frame_is_the_reference() -> None:
    with corrected(scan(np.array([drawn(2), drawn(3)]), [60, 3000]), ON) as made:
        assert made.provenance["motion"]["reference frames"] == [2]


def test_an_image_with_slanting_axes_is_refused() -> None:
    read = scan(np.array([drawn(0)] * 3))
    slanting = AFFINE.copy()
    slanting[0, 1] = 0.5
    object.__setattr__(read.scan, "affine", slanting)
    with pytest.raises(ImageError, match="right angles"), corrected(read, ON):
        pass


def test_a_study_names_it_with_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def study(given: Any) -> Any:
        data = {"uri": "data", "motion_correction": given}
        return parse_study({"name": "a", "data": data, "output": "out"}, where=str(tmp_path / "study.yaml"))

    assert study({"reference": [30, 60]}).corrections.facts() == {"data.motion_correction": {"reference": [30.0, 60.0]}}
    assert study(None).corrections.facts() == {}
    with pytest.raises(ConfigurationError, match="end after it starts"):
        study({"reference": [60, 30]})
    monkeypatch.setattr(motion, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"dlif\[registration\]"):
        study({})
