"""Where products lie on canvases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.composition import Canvas, Placement, PositionWord
from deployments.errors import InvalidRequest
from deployments.jobs import Product
from deployments.studio.placing import covering, place

Box = tuple[float, float, float, float]


def product(box: tuple[int, int, int, int], width: int = 600, height: int = 400) -> Product:
    """A product whose alpha is 255 in a box (left, top, width, height) of a photo."""
    left, top, wide, high = box
    alpha = np.zeros((height, width), np.uint8)
    alpha[top : top + high, left : left + wide] = 255
    return Product(np.zeros((height, width, 3), np.uint8), alpha)


VASE = (100, 150, 150, 200)


def laid(
    box: tuple[int, int, int, int], canvas: Canvas, **photo: int
) -> tuple[Placement, Box, tuple[str, ...]]:
    """The placement, the box (left, top, right, bottom) on the canvas, and the warnings."""
    placement, warnings = place(product(box, **photo), canvas, max_side=1536)
    assert placement is not None
    left, top, wide, high = box
    scale = placement.scale
    begin = (placement.left + left * scale, placement.top + top * scale)
    return placement, (*begin, begin[0] + wide * scale, begin[1] + high * scale), warnings


def test_nothing_is_asked_for() -> None:
    assert place(product(VASE), Canvas(), max_side=1536) == (None, ())


def test_a_size_alone_keeps_the_scale_and_shares_the_free_space_as_the_photo_does() -> None:
    placement, box, warnings = laid(VASE, Canvas(size=(1000, 500)))
    assert (placement.width, placement.height, placement.scale) == (1000, 500, 1)
    # Of the photo's free 450 columns 100 are on the left; of its 200 rows 150 are above.
    assert box == (round(850 * 100 / 450), 225, round(850 * 100 / 450) + 150, 425)
    assert warnings == ()


def test_a_photo_of_the_size_that_is_asked_for_stays_where_it_is() -> None:
    placement, _, _ = laid(VASE, Canvas(size=(600, 400)))
    assert placement == Placement(600, 400, 1, 0, 0)


def test_what_does_not_fit_is_made_smaller_with_a_margin() -> None:
    placement, box, warnings = laid((100, 50, 300, 300), Canvas(size=(200, 600)))
    assert placement.scale == pytest.approx(180 / 300)
    assert box[2] - box[0] == pytest.approx(180)
    assert warnings == ()


def test_an_aspect_ratio_cuts_the_photo_where_that_holds_the_product() -> None:
    placement, box, _ = laid(VASE, Canvas(aspect=1))
    assert (placement.width, placement.height, placement.scale) == (400, 400, 1)
    assert placement.top == 0
    assert -200 <= placement.left <= 0
    assert box[0] == round(250 * 100 / 450)


@pytest.mark.parametrize(("box", "size"), [
    ((50, 100, 500, 200), (540, 540)),  # with 20 pixels, 5 % of 400, on both sides
    ((10, 100, 500, 200), (530, 530)),  # of which the photo has 10 on the left
    ((0, 100, 600, 200), (600, 600)),
])  # fmt: skip
def test_an_aspect_ratio_extends_the_photo_where_cutting_would_not_hold_the_product(
    box: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    placement, _, _ = laid(box, Canvas(aspect=1))
    assert (placement.width, placement.height) == size
    assert placement.scale == 1


def test_an_extended_photo_stays_under_the_longest_side() -> None:
    tall = product((0, 100, 1400, 200), width=1400, height=400)
    placement, _ = place(tall, Canvas(aspect=0.5), max_side=1536)
    assert placement is not None
    assert (placement.width, placement.height) == (768, 1536)
    assert placement.scale == pytest.approx(768 / 1400)


def test_padding_makes_the_product_as_large_as_fits_in_the_middle() -> None:
    placement, box, warnings = laid(VASE, Canvas(size=(1000, 500), padding=0.1))
    assert box == pytest.approx((350, 50, 650, 450))
    assert placement.scale == pytest.approx(2)
    assert "enlarged to 200%" in warnings[0]


def test_padding_alone_keeps_the_photos_size() -> None:
    placement, box, warnings = laid((100, 50, 450, 300), Canvas(padding=0.2))
    assert (placement.width, placement.height) == (600, 400)
    assert box[1] == pytest.approx(80)
    assert warnings == ()


@pytest.mark.parametrize(("word", "corner"), [
    ("center", (250, 150)),
    ("top", (250, 0)),
    ("bottom", (250, 300)),
    ("left", (0, 150)),
    ("right", (500, 150)),
    ("top-left", (0, 0)),
    ("top-right", (500, 0)),
    ("bottom-left", (0, 300)),
    ("bottom-right", (500, 300)),
])  # fmt: skip
def test_words(word: PositionWord, corner: tuple[int, int]) -> None:
    _, box, _ = laid((33, 55, 100, 100), Canvas(position=word))
    assert box[:2] == corner
    _, box, _ = laid((33, 55, 100, 100), Canvas(position=word, padding=0.1))
    # As high as fits, 320 pixels, within 40 pixels of the border.
    x, y = corner
    assert box[:2] == pytest.approx({0: 40, 250: 140, 500: 240}[x] * np.array([1, 0]) + [0, 40])
    assert y in (0, 150, 300)


def test_shares_are_the_place_of_the_middle() -> None:
    _, box, _ = laid(VASE, Canvas(size=(800, 800), position=(0.25, 0.5)))
    assert box == (125, 300, 275, 500)


def test_a_product_that_does_not_fit_around_its_middle_is_made_smaller() -> None:
    placement, box, _ = laid(VASE, Canvas(size=(800, 800), position=(0.05, 0.5)))
    assert box == pytest.approx((0, 400 - 80 * 4 / 6, 80, 400 + 80 * 4 / 6))
    assert placement.scale == pytest.approx(80 / 150)


def test_padding_counts_around_a_middle() -> None:
    _, box, _ = laid(VASE, Canvas(size=(800, 800), position=(0.3, 0.5), padding=0.1))
    assert box == pytest.approx((80, 400 - 160 * 4 / 3, 400, 400 + 160 * 4 / 3), abs=107)
    assert box[0] == pytest.approx(80)
    assert box[2] == pytest.approx(400)


@pytest.mark.parametrize(("canvas", "told"), [
    (Canvas(size=(64, 64), padding=0.49), "padding: 0.49 leaves no room for the product on 64 x"),
    (Canvas(size=(64, 64), padding=0.49, position=(0.5, 0.5)), "padding: 0.49 leaves no room"),
    (Canvas(size=(800, 400), position=(0, 0.5)), "X from 0.005 to 0.995 and Y from 0.010 to 0.990"),
    (Canvas(size=(800, 800), position=(0.05, 0.5), padding=0.1), "with padding 0.1; X from 0.105"),
])  # fmt: skip
def test_no_room_is_refused_with_what_is_possible(canvas: Canvas, told: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        place(product(VASE), canvas, max_side=1536)
    assert told in str(error.value)


def test_what_is_said_to_be_possible_is() -> None:
    place(product(VASE), Canvas(size=(64, 64), padding=0.43), max_side=1536)
    place(product(VASE), Canvas(size=(800, 400), position=(0.005, 0.99)), max_side=1536)


def test_a_cut_product_stays_at_the_border_that_cuts_it() -> None:
    _, box, warnings = laid((200, 200, 100, 200), Canvas(size=(900, 1000)))
    assert box[3] == 1000
    assert warnings == ()
    placement, box, warnings = laid((0, 100, 300, 200), Canvas(size=(1000, 1000), padding=0.1))
    # No padding on the left, where the border cuts: 900 pixels are left for 300.
    assert box == pytest.approx((0, 200, 900, 800))
    assert placement.scale == pytest.approx(3)
    assert len(warnings) == 1


def test_a_cut_product_has_no_margin_where_it_is_cut() -> None:
    _, box, _ = laid((200, 0, 100, 300), Canvas(size=(400, 200)))
    assert box[1] == 0
    assert box[3] == pytest.approx(190)


@pytest.mark.parametrize(("position", "sides"), [
    ("top", "at the bottom"),
    ("center", "on the left and at the bottom"),
    ((0.5, 0.5), "on the left and at the bottom"),
    ("right", "on the left"),
    ("bottom-right", "on the left"),
])  # fmt: skip
def test_a_cut_edge_inside_the_picture_is_warned_of(
    position: PositionWord | tuple[float, float], sides: str
) -> None:
    _, _, (warning,) = laid((0, 250, 100, 150), Canvas(size=(800, 800), position=position))
    assert f"cuts the product {sides}," in warning


def test_a_position_that_takes_a_cut_side_off_its_border_has_padding_there() -> None:
    _, box, _ = laid((0, 100, 300, 200), Canvas(size=(1000, 1000), padding=0.1, position="center"))
    assert box == pytest.approx((100, 500 - 800 / 3, 900, 500 + 800 / 3))


def test_a_cut_edge_at_the_border_that_is_asked_for_is_right() -> None:
    assert laid((0, 250, 100, 150), Canvas(size=(800, 800), position="bottom-left"))[2] == ()
    assert laid((0, 250, 100, 150), Canvas(size=(800, 800), position="bottom"))[2] == ()


def test_a_wider_canvas_shows_where_both_sides_were_cut() -> None:
    _, box, (warning,) = laid((0, 100, 600, 200), Canvas(size=(800, 400)))
    assert box[0] == 100
    assert "on the left and on the right" in warning
    assert laid((0, 100, 600, 200), Canvas(size=(600, 800)))[2] == ()


def test_an_upload_that_was_trimmed_to_its_product_is_not_cut() -> None:
    trimmed = product((0, 0, 600, 400))
    placement, warnings = place(trimmed, Canvas(size=(1000, 1000), padding=0.2), max_side=1536)
    assert placement == Placement(1000, 1000, 1, 200, 300)
    assert warnings == ()
    _, (warning,) = place(
        trimmed, Canvas(size=(1000, 1000), padding=0.2), max_side=1536, opaque_photo=True
    )
    assert "on the left and on the right and at the top and at the bottom" in warning


def test_a_transparent_upload_that_was_trimmed_in_one_direction_is_not_cut() -> None:
    wide = product((0, 20, 600, 380))
    canvas = Canvas(size=(1000, 1000), padding=0.2)
    placement, warnings = place(wide, canvas, max_side=1536, opaque_photo=False)
    assert placement == Placement(1000, 1000, 1, 200, 290)
    assert warnings == ()
    # In an opaque photo the same is cut on three sides, and stays at those borders.
    placement, _ = place(wide, canvas, max_side=1536, opaque_photo=True)
    assert placement is not None
    assert placement.left == 0
    assert placement.scale == pytest.approx(1000 / 600)
    assert placement.top + 400 * placement.scale == pytest.approx(1000)
    # One that is cut at one border only stays there in any photo.
    placement, _ = place(product((200, 20, 200, 380)), canvas, max_side=1536, opaque_photo=False)
    assert placement is not None
    assert placement.top + 400 * placement.scale == pytest.approx(1000)


def test_what_only_touches_the_border_is_not_cut() -> None:
    """A point of a star, or a pixel of noise."""
    touching = product((100, 100, 200, 200))
    touching.alpha[0:100, 150:153] = 255
    _, warnings = place(touching, Canvas(size=(600, 800), position="center"), max_side=1536)
    assert warnings == ()
    touching.alpha[0:100, 150:156] = 255
    assert place(touching, Canvas(size=(600, 800), position="center"), max_side=1536)[1]


def test_a_scale_next_to_one_is_one() -> None:
    """The difference could not be seen, and pixels that are not resampled can."""
    placement, _, _ = laid((100, 50, 301, 300), Canvas(size=(301, 900), padding=0))
    assert placement.scale == 1
    placement, _, _ = laid((100, 50, 303, 300), Canvas(size=(301, 900), padding=0))
    assert placement.scale == pytest.approx(301 / 303)


def test_what_is_faint_does_not_count() -> None:
    faint = product(VASE)
    faint.alpha[0:100, 0:50] = 15
    assert place(faint, Canvas(padding=0.1), max_side=1536) == place(
        product(VASE), Canvas(padding=0.1), max_side=1536
    )
    faint.alpha[0:100, 0:50] = 16
    assert place(faint, Canvas(padding=0.1), max_side=1536) != place(
        product(VASE), Canvas(padding=0.1), max_side=1536
    )


@st.composite
def _boxes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    left, top = draw(st.integers(0, 592)), draw(st.integers(0, 392))
    return left, top, draw(st.integers(8, 600 - left)), draw(st.integers(8, 400 - top))


@given(
    _boxes(),
    st.one_of(st.none(), st.tuples(st.integers(64, 1536), st.integers(64, 1536))),
    st.one_of(st.none(), st.floats(0, 0.4)),
    st.sampled_from([None, "center", "top", "bottom", "left", "right", "bottom-right", "top-left"]),
)
def test_all_of_the_product_stays_and_nothing_is_larger_than_asked(
    box: tuple[int, int, int, int],
    size: tuple[int, int] | None,
    padding: float | None,
    position: PositionWord | None,
) -> None:
    canvas = Canvas(size=size, padding=padding, position=position)
    placement, _ = place(product(box), canvas, max_side=1536)
    if placement is None:
        assert not canvas.given
        return
    assert (placement.width, placement.height) == (size or (600, 400))
    left, top, wide, high = box
    free = 0.0 if padding is None else padding * min(placement.width, placement.height)
    for begin, length, at, side, photo in (
        (left, wide, placement.left, placement.width, 600),
        (top, high, placement.top, placement.height, 400),
    ):
        low, after = at + begin * placement.scale, side - at - (begin + length) * placement.scale
        for room, touching in ((low, begin == 0), (after, begin + length == photo)):
            assert room >= (0 if touching else free) - 1
    if padding is None:
        assert placement.scale <= 1


@pytest.mark.parametrize(("canvas", "expected"), [
    (Canvas(), None),
    (Canvas(padding=0.1, position="center"), None),
    (Canvas(size=(300, 300)), Placement(300, 300, 0.75, -75, 0)),
    (Canvas(aspect=1), Placement(400, 400, 1, -100, 0)),
    (Canvas(aspect=3), Placement(600, 200, 1, 0, -100)),
])  # fmt: skip
def test_a_photo_without_a_product_covers_the_canvas(
    canvas: Canvas, expected: Placement | None
) -> None:
    assert covering(600, 400, canvas, max_side=1536) == expected


def test_a_large_photo_covers_in_the_frame_of_results() -> None:
    assert covering(3000, 2000, Canvas(aspect=1), max_side=600) == Placement(400, 400, 1, -100, 0)
