"""The product on the small canvas: moved and scaled there, it lies so in the result."""

from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, expect

from tests.browser.chat import Chat
from tests.browser.test_accessibility import check, focused
from tests.browser.test_canvas import choose
from tests.browser.test_product import file

PIXELS = 3
"""How far a result's product may lie from where the canvas shows it, in pixels of the result."""


def box_photo(left: int = 90) -> Image.Image:
    """A dark box on a light ground."""
    image = Image.new("RGB", (600, 400), (225, 222, 215))
    ImageDraw.Draw(image).rectangle((left, 150, left + 179, 329), fill=(30, 60, 180))
    return image


def opened(chat: Chat, photo: Image.Image | None = None) -> Locator:
    """The canvas, with a product on white."""
    chat.add_photo(file(photo or box_photo()))
    expect(chat.found()).to_have_text("Product found")
    choose(chat, "Background", "White")
    canvas = chat.composer.get_by_role("application")
    expect(canvas).to_be_visible()
    return canvas


def shaped(chat: Chat, shape: str) -> None:
    """Choose a shape; the photo's by the empty name."""
    chat.choose_shape(shape or "As photo")


def shown(canvas: Locator) -> np.ndarray:
    """Left, top, right and bottom of the product on the canvas, as shares."""
    return np.array(
        canvas.evaluate("""canvas => {
            const {clientWidth: width, clientHeight: height} = canvas;
            const {left, top} = canvas.getBoundingClientRect();
            const box = canvas.querySelector(".box").getBoundingClientRect();
            const [x, y] = [left + canvas.clientLeft, top + canvas.clientTop];
            return [(box.left - x) / width, (box.top - y) / height,
                (box.right - x) / width, (box.bottom - y) / height];
        }""")
    )


def made(chat: Chat) -> tuple[np.ndarray, np.ndarray]:
    """The sides of what is made, and the product's left, top, right and bottom in it."""
    chat.create.click()
    chat.finished(chat.turn, 1)
    answer = httpx.get(chat.url_of(chat.turn, 1))
    result = np.array(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)
    rows, columns = np.nonzero(result.min(axis=2) < 150)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return np.array(result.shape[1::-1]), box


def agrees(chat: Chat, canvas: Locator) -> None:
    """Fail where the result is another than what the canvas showed."""
    expected = shown(canvas)
    sides, box = made(chat)
    off = np.abs(np.tile(sides, 2) * expected - box).max()
    assert off <= PIXELS, f"{off:.1f} pixels off: {expected}, {box} of {sides}"


def drag(chat: Chat, canvas: Locator, x: float, y: float) -> None:
    """Drag the product by shares of the canvas."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    start = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = chat.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move(start[0] + x * box["width"], start[1] + y * box["height"], steps=6)
    mouse.up()


@pytest.mark.parametrize("shape", ["", "1:1", "9:16", "16:9"])
def test_a_shape_shows_where_the_product_will_lie(chat, shape):
    canvas = opened(chat)
    shaped(chat, shape)
    agrees(chat, canvas)


@pytest.mark.parametrize(
    ("position", "padding"), [("top left", ""), ("at the bottom", "10"), ("as it is", "5")]
)
def test_a_word_and_room_show_where_the_product_will_lie(chat, position, padding):
    canvas = opened(chat, box_photo(0))  # the photo's border cuts it
    shaped(chat, "4:5")
    choose(chat, "Product lies", position)
    chat.composer.get_by_label("Room around, %", exact=True).fill(padding)
    agrees(chat, canvas)


@pytest.mark.parametrize("shape", ["", "4:5"])
def test_a_product_is_dragged_and_scaled_with_the_mouse(chat, shape):
    canvas = opened(chat)
    shaped(chat, shape)
    before = shown(canvas)
    drag(chat, canvas, 0.1, -0.15)
    after = shown(canvas)
    assert after[[0, 2]] - before[[0, 2]] == pytest.approx([0.1, 0.1], abs=0.02)
    assert after[[1, 3]] - before[[1, 3]] == pytest.approx([-0.15, -0.15], abs=0.02)
    canvas.hover()
    chat.page.mouse.wheel(0, 300)
    smaller = shown(canvas)
    assert smaller[2] - smaller[0] < 0.85 * (after[2] - after[0])
    agrees(chat, canvas)


def test_a_product_stays_on_the_canvas(chat):
    canvas = opened(chat)
    drag(chat, canvas, 2, 2)
    assert shown(canvas)[2:] == pytest.approx([1, 1], abs=0.005)
    slider = chat.composer.get_by_role("slider", name="Size of the product")
    slider.fill("100")
    assert shown(canvas)[[1, 3]] == pytest.approx([0, 1], abs=0.005)
    expect(chat.composer.get_by_text("looks soft")).to_be_visible()
    agrees(chat, canvas)


def test_keys_move_and_scale_it_and_a_button_resets_it(chat):
    canvas = opened(chat)
    shaped(chat, "1:1")
    before = shown(canvas)
    # By a key: only then the browser shows where the focus is.
    chat.composer.get_by_role("combobox", name="File", exact=True).focus()
    chat.page.keyboard.press("Tab")
    assert "arrow keys move it" in focused(chat.page)
    outline = canvas.evaluate("canvas => getComputedStyle(canvas).outlineStyle")
    assert outline != "none"
    for key in ("Shift+ArrowRight", "ArrowDown", "ArrowDown", "-"):
        chat.page.keyboard.press(key)
    after = shown(canvas)
    middle = (after[:2] + after[2:] - before[:2] - before[2:]) / 2
    assert middle == pytest.approx([0.1, 0.02], abs=0.005)
    assert after[2] - after[0] == pytest.approx((before[2] - before[0]) / 1.08, rel=0.02)
    agrees(chat, canvas)
    chat.composer.get_by_role("button", name="Reset place and size").click()
    assert shown(canvas) == pytest.approx(before, abs=0.002)


def test_a_reload_keeps_the_place(chat):
    canvas = opened(chat)
    drag(chat, canvas, 0.2, 0)
    before = shown(canvas)
    chat.page.wait_for_timeout(1000)  # a draft is kept a moment after it changed
    chat.page.reload()
    expect(canvas).to_be_visible()
    expect(chat.composer.get_by_label("Product lies")).to_have_value("free")
    assert shown(canvas) == pytest.approx(before, abs=0.002)


def test_a_marked_product_is_dragged_too(chat, screenshots):
    canvas = opened(chat)
    found = shown(canvas)
    chat.composer.get_by_text("Advanced", exact=True).click()
    chat.composer.get_by_role("button", name="Paint mask").click()
    mask = Image.new("L", (600, 400))
    mask.paste(255, (90, 150, 270, 240))
    chat.page.get_by_role("dialog").locator("#mask-file").set_input_files(file(mask, "mask.png"))
    expect(chat.composer.get_by_role("button", name="Remove the mask")).to_be_visible()
    # The upper half of what was found.
    chat.page.wait_for_function(
        """() => {
            const box = document.querySelector("#placing .box").getBoundingClientRect();
            return box.height && box.width / box.height > 1.8;
        }"""
    )
    assert shown(canvas)[[0, 1, 2]] == pytest.approx(found[[0, 1, 2]], abs=0.01)
    drag(chat, canvas, 0.2, 0.1)
    chat.page.screenshot(path=screenshots / "placement-mask.png")
    agrees(chat, canvas)
    chat.composer.get_by_role("button", name="Remove the mask").click()
    expect(chat.found()).to_have_text("Product found")


def test_a_continued_product_is_dragged_from_where_it_lies(chat):
    canvas = opened(chat)
    shaped(chat, "1:1")
    drag(chat, canvas, 0.2, -0.1)
    agrees(chat, canvas)
    lay = shown(canvas)
    chat.composer.get_by_role("button", name="Reset place and size").click()
    shaped(chat, "")
    assert not np.allclose(shown(canvas), lay, atol=0.02)
    chat.open_result(chat.turn, 1).get_by_role("button", name="Change it").click()
    # Nothing is asked for, so that it stays where it was.
    expect(canvas).to_be_visible()
    assert shown(canvas) == pytest.approx(lay, abs=0.01)
    agrees(chat, canvas)
    chat.open_result(chat.turn, 1).get_by_role("button", name="Change it").click()
    drag(chat, canvas, -0.15, 0.2)
    assert shown(canvas)[0] == pytest.approx(lay[0] - 0.15, abs=0.02)
    agrees(chat, canvas)
    chat.composer.get_by_role("button", name="Start from a photo instead").click()
    expect(canvas).to_be_visible()


def test_where_it_cannot_be_dragged_words_say_so(chat):
    chat.add_photo(file(box_photo()))
    expect(chat.found()).to_have_text("Product found")
    words = chat.composer.get_by_text("This product cannot be arranged by dragging.")
    chat.composer.get_by_text("Picture", exact=True).click()
    expect(chat.composer.get_by_role("application")).to_be_visible()
    expect(words).to_be_hidden()
    chat.composer.get_by_text("Advanced", exact=True).click()
    choose(chat, "Preserve product", "Never, redraw everything")
    expect(chat.composer.get_by_role("application")).to_be_hidden()
    chat.finished(chat.ask("Perfume backdrop", images=1), 1)
    chat.open_result(chat.turn, 1).get_by_role("button", name="Change it").click()
    choose(chat, "Preserve product", "If found")
    chat.composer.get_by_text("Picture", exact=True).click()
    expect(words).to_be_visible()
    expect(chat.composer.get_by_role("application")).to_be_hidden()
    chat.composer.get_by_role("button", name="Start from a photo instead").click()
    expect(chat.composer.get_by_role("application")).to_be_visible()
    expect(words).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 360, 320])
def test_the_canvas_fits_every_window(chat, axe, screenshots, scheme, width):
    page = chat.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    canvas = opened(chat)
    choose(chat, "Background", "Scene")
    shaped(chat, "16:9")
    canvas.scroll_into_view_if_needed()
    check(page, axe)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('#card').scrollWidth") <= width
    page.screenshot(path=screenshots / f"placement-{width}-{scheme}.png")


class TestWithFingers:
    @pytest.fixture
    def context_options(self) -> dict[str, object]:
        return {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}

    def test_one_finger_drags_and_two_scale(self, chat):
        canvas = opened(chat)
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        device = chat.page.context.new_cdp_session(chat.page)

        def touch(kind: str, *places: tuple[float, float]) -> None:
            points: list[dict[str, Any]] = [
                {"x": across, "y": down, "id": i} for i, (across, down) in enumerate(places)
            ]
            device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        before, scrolled = shown(canvas), chat.page.evaluate("scrollY")
        touch("touchStart", (x, y))
        for part in range(1, 6):
            touch("touchMove", (x + part * box["width"] / 50, y))
        touch("touchEnd")
        after = shown(canvas)
        assert after[0] - before[0] == pytest.approx(0.1, abs=0.02)
        assert chat.page.evaluate("scrollY") == scrolled
        touch("touchStart", (x - 40, y), (x + 40, y))
        for part in range(1, 6):
            touch("touchMove", (x - 40 + 4 * part, y), (x + 40 - 4 * part, y))
        touch("touchEnd")
        smaller = shown(canvas)
        assert smaller[2] - smaller[0] == pytest.approx((after[2] - after[0]) / 2, rel=0.05)
        agrees(chat, canvas)
