"""The large view makes an image larger, and moves it about."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.test_accessibility import check


def place(picture: Locator) -> tuple[float, float, float]:
    """Left, top and width of the picture, in pixels of the window."""
    box = picture.bounding_box()
    return box["x"], box["y"], box["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_image_is_zoomed_and_moved(chat, axe, screenshots, scheme):
    page, keys, mouse = chat.page, chat.page.keyboard, chat.page.mouse
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": 1440, "height": 900})
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=2)
    chat.finished(turn, 2)
    dialog = chat.open_result(turn, 1)
    picture = dialog.locator(".compare")
    slider = dialog.get_by_role("slider", name="Compare with the photo")
    left, top, width = place(picture)

    dialog.get_by_role("button", name="Larger").click()
    assert place(picture)[2] == pytest.approx(1.25 * width, rel=0.01)
    dialog.get_by_role("button", name="125 %: show it whole").click()
    assert place(picture) == pytest.approx((left, top, width), abs=1)

    # What is under the mouse stays there, and a double click moves no comparison.
    at = left + 0.3 * width, top + 100
    mouse.dblclick(*at)
    moved = place(picture)
    assert moved[2] == pytest.approx(2.5 * width, rel=0.01)
    assert (at[0] - moved[0]) / moved[2] == pytest.approx(0.3, abs=0.02)
    expect(slider).to_have_value("0")
    mouse.down()
    mouse.move(at[0] + 50, at[1] + 30, steps=4)
    mouse.up()
    dragged = place(picture)
    assert dragged[0] - moved[0] == pytest.approx(50, abs=2)
    expect(slider).to_have_value("0")
    keys.press("ArrowRight")
    assert place(picture)[0] - dragged[0] == pytest.approx(-60, abs=2)
    expect(dialog).to_be_visible()  # the arrow showed no other image
    check(page, axe)
    page.screenshot(path=screenshots / f"zoom-1440-{scheme}.png")

    keys.press("0")
    assert place(picture) == pytest.approx((left, top, width), abs=1)
    keys.press("+")
    keys.press("+")
    keys.press("-")
    assert place(picture)[2] == pytest.approx(1.25 * width, rel=0.01)
    mouse.wheel(0, -100)
    assert place(picture)[2] > 1.4 * width
    keys.press("0")
    dialog.get_by_role("button", name="Close").focus()
    keys.press("ArrowRight")
    expect(page.get_by_role("dialog", name="Image 2", exact=True)).to_be_visible()
    page.set_viewport_size({"width": 360, "height": 740})
    keys.press("+")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.screenshot(path=screenshots / f"zoom-360-{scheme}.png")


def test_images_lie_side_by_side_and_are_zoomed_together(chat, axe, screenshots):
    page, keys = chat.page, chat.page.keyboard
    page.set_viewport_size({"width": 1440, "height": 900})
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=3)
    chat.finished(turn, 3)
    dialog = chat.open_result(turn, 2)
    dialog.get_by_role("button", name="Side by side").click()
    pictures = dialog.locator(".compare")
    expect(pictures).to_have_count(3)
    expect(dialog.get_by_role("button", name="Next image")).to_be_hidden()
    expect(dialog.get_by_role("button", name="Side by side")).to_be_focused()
    before = [place(pictures.nth(i)) for i in range(3)]
    assert before[0][0] + before[0][2] <= before[1][0]
    assert before[0][2] == pytest.approx(before[1][2], abs=1)
    keys.press("+")
    for i in range(3):
        assert place(pictures.nth(i))[2] == pytest.approx(1.25 * before[i][2], rel=0.01)
    keys.press("0")
    check(page, axe)
    page.screenshot(path=screenshots / "beside-1440.png")
    for width, height in ((1440, 900), (360, 740)):
        page.set_viewport_size({"width": width, "height": height})
        controls = dialog.get_by_role("group", name="Zoom").bounding_box()
        boxes = [pictures.nth(i).bounding_box() for i in range(3)]
        assert all(box["y"] + box["height"] <= controls["y"] for box in boxes)
    page.screenshot(path=screenshots / "beside-360.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    dialog.get_by_role("button", name="Image 1", exact=True).click()
    expect(pictures).to_have_count(2)
    expect(dialog.get_by_role("button", name="Image 2", exact=True)).to_be_disabled()
    dialog.get_by_role("button", name="Side by side").click()
    expect(pictures).to_have_count(1)
