"""What fills a body between its organs, and anatomies that vary: fat, bones, pieces, courses of vessels, sizes."""

from dataclasses import replace

import numpy as np
import pytest

from dlif_core.phantom import Span
from dlif_core.phantom.anatomy import STANDARD, AnatomyRanges, draw_anatomy, organ_volume
from dlif_core.phantom.filling import PIECES, fat_below_skin, pieces, skeleton, skull
from dlif_core.phantom.shapes import Ellipsoid, Shape, Tube, ellipsoid

# an animal that lies straight, its organs in their usual places
STRAIGHT = AnatomyRanges(rotation=Span((0.0, 0.0)), shift=Span((0.0, 0.0)))
TRUNK = ellipsoid("muscle", (0, 0, -3), (11, 11, 40))


def exactly(value: float) -> Span:
    return Span((value, value))


def drawn(seed: int = 0, **ranges: object) -> tuple[Shape, ...]:
    return draw_anatomy(np.random.default_rng(seed), ranges=replace(STRAIGHT, **ranges))


def organ_at(shapes: tuple[Shape, ...], x: float, y: float, z: float) -> str:
    """The organ that is painted last at a point; empty outside the body."""
    return next((shape.organ for shape in reversed(shapes) if shape.contains(x, y, z)), "")


def tubes(shapes: tuple[Shape, ...], organ: str) -> list[Tube]:
    return [shape for shape in shapes if shape.organ == organ and isinstance(shape, Tube)]


def test_fat_lies_below_the_skin_and_muscle_inside() -> None:
    shapes = fat_below_skin(TRUNK, 2.0)
    along = [organ_at(shapes, x, 0.0, -3.0) for x in (0.0, 8.9, 9.1, 10.9, 11.1)]
    assert along == ["muscle", "muscle", "fat", "fat", ""]
    assert organ_at(shapes, 0.0, 0.5, -23.0) == "fat"  # between the organs of the abdomen


def test_a_lean_animal_has_muscle_up_to_its_skin() -> None:
    assert fat_below_skin(TRUNK, 0.0) == (TRUNK,)
    assert fat_below_skin(TRUNK, -0.1) == (TRUNK,)


def test_fat_thicker_than_the_body_leaves_a_core_of_muscle() -> None:
    shapes = fat_below_skin(TRUNK, 20.0)
    assert [shape.organ for shape in shapes[:2]] == ["fat", "muscle"]
    assert min(shape.semi_axes.min() for shape in shapes if isinstance(shape, Ellipsoid)) > 0.0


def test_bones_hold_marrow_and_surround_the_brain() -> None:
    shapes = drawn(bone=exactly(0.8), trunk=exactly(12.0), size=exactly(1.0))
    assert organ_at(shapes, 0.0, -7.0, -10.0) == "marrow"
    assert organ_at(shapes, 1.2, -7.0, -10.0) == "bone"  # the spine around it
    assert organ_at(shapes, 0.0, -1.5, 20.0) == "brain"
    assert organ_at(shapes, 5.3, -1.5, 20.0) == "bone"  # the skull
    assert organ_at(shapes, 0.0, 7.3, 0.0) == "bone"  # the sternum


def test_bones_are_the_same_on_both_sides_and_none_without_radius() -> None:
    shapes = skeleton(0.9)
    for shape in tubes(shapes, "bone")[2:]:
        mirrored = shape.start * [-1, 1, 1]
        assert any(np.allclose(other.start, mirrored) for other in tubes(shapes, "bone"))
    assert skeleton(0.0) == ()
    assert skull(TRUNK, 0.0) == ()


def test_pieces_are_of_any_tissue_and_lie_about_the_axis_of_the_trunk() -> None:
    found = pieces(np.random.default_rng(0), 400.4)
    assert len(found) == 400
    assert {piece.organ for piece in found} == set(PIECES)
    for piece in found:
        assert isinstance(piece, Ellipsoid)
        x, y, z = piece.centre
        assert np.hypot(x, y) <= 10.0
        assert -34.0 <= z <= 14.0
        assert ((piece.semi_axes >= 0.8) & (piece.semi_axes <= 4.5)).all()
        np.testing.assert_allclose(piece.rotation @ piece.rotation.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("count", [0.0, 0.4, -2.5])
def test_no_pieces_where_none_are_wanted(count: float) -> None:
    assert pieces(np.random.default_rng(0), count) == ()


def test_pieces_lie_below_blood_tumour_and_heart() -> None:
    """Whatever tissue lies around it, blood stays where it is."""
    plain, filled = drawn(), drawn(pieces=exactly(30.0))
    above = next(number for number, shape in enumerate(plain) if shape.organ == "vena_cava")
    above -= any(shape.organ == "tumour" for shape in plain)
    organs = [shape.organ for shape in filled]
    assert organs[:above] + organs[above + 30 :] == [shape.organ for shape in plain]
    assert set(organs[above : above + 30]) <= set(PIECES)


@pytest.mark.parametrize("seed", range(5))
def test_vessels_take_another_course_and_the_aorta_stays_one(seed: int) -> None:
    usual, moved = drawn(seed), drawn(seed, course=Span((-1.2, 1.2)))
    for organ in ("vena_cava", "aorta"):
        for before, after in zip(tubes(usual, organ), tubes(moved, organ), strict=True):
            offsets = np.abs([after.start - before.start, after.end - before.end])
            assert offsets.max() <= 1.2 + 1e-9
            assert offsets.max() > 0.1
            assert after.radius == before.radius
    descending, arch = tubes(moved, "aorta")
    np.testing.assert_array_equal(descending.end, arch.start)
    np.testing.assert_array_equal(arch.end, tubes(usual, "aorta")[1].end)  # where it leaves the heart


def test_organ_sizes_scale_volumes() -> None:
    usual = drawn()
    grown = drawn(organs={"liver": exactly(1.2), "lung": exactly(0.8)})
    assert organ_volume(grown, "liver") == pytest.approx(1.2**3 * organ_volume(usual, "liver"))
    assert organ_volume(grown, "lung") == pytest.approx(0.8**3 * organ_volume(usual, "lung"))
    assert organ_volume(grown, "brain") == organ_volume(usual, "brain")


def test_organ_sizes_count_on_top_of_proportions() -> None:
    rng = np.random.default_rng(0)
    grown = draw_anatomy(rng, 1.0, replace(STRAIGHT, organs={"brain": exactly(1.1)}), {"brain": 0.9})
    assert organ_volume(grown, "brain") == pytest.approx((1.1 * 0.9) ** 3 * organ_volume(drawn(), "brain"))


def test_the_right_ventricle_has_a_size_of_its_own() -> None:
    usual, grown = drawn(), drawn(right=exactly(1.3))
    assert organ_volume(grown, "right_ventricle") == pytest.approx(1.3**3 * organ_volume(usual, "right_ventricle"))
    assert organ_volume(grown, "left_ventricle") == organ_volume(usual, "left_ventricle")


def test_what_fills_the_body_leaves_all_else_as_it_was() -> None:
    plain = draw_anatomy(np.random.default_rng(7), ranges=STANDARD)
    ranges = replace(STANDARD, fat=exactly(2.0), bone=exactly(0.8), pieces=exactly(0.0))
    kept = [
        shape
        for shape in draw_anatomy(np.random.default_rng(7), ranges=ranges)
        if shape.organ not in ("fat", "bone", "muscle")
    ]
    assert [shape.organ for shape in kept] == [shape.organ for shape in plain if shape.organ != "muscle"]
    for before, after in zip((shape for shape in plain if shape.organ != "muscle"), kept, strict=True):
        np.testing.assert_array_equal(before.bounds, after.bounds)


def test_a_crowded_abdomen_is_nearer_to_the_heart_and_nothing_else_moves() -> None:
    usual, near = drawn(5), drawn(5, crowding=exactly(0.6))
    for one, other in zip(usual, near, strict=True):
        height = float(np.mean(one.bounds, axis=0)[2])
        if one.organ in ("liver", "stomach", "spleen", "gut", "kidney", "renal_pelvis", "bladder"):
            height = -4.0 + 0.6 * (height + 4.0)
        assert float(np.mean(other.bounds, axis=0)[2]) == pytest.approx(height)
