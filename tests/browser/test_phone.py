"""The page on a phone: fingers instead of a mouse, a camera instead of a disk."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.chat import SAMPLE


@pytest.fixture
def context_options() -> dict[str, object]:
    return {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


# From a copy: a canvas that is read twice makes Chromium complain.
PAINTED = """async canvas => {
    const {width, height} = canvas;
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.drawImage(await createImageBitmap(canvas), 0, 0);
    const {data} = context.getImageData(0, 0, width, height);
    return data.filter((value, i) => i % 4 === 3 && value).length / (width * height);
}"""


def stroke(page: Page, canvas: Locator) -> None:
    """Draw with a finger, from the left to the right of the middle."""
    box = canvas.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    fingers = [{"x": box["x"] + box["width"] * part / 10, "y": y} for part in range(3, 8)]
    device = page.context.new_cdp_session(page)
    for i, finger in enumerate(fingers):
        kind = "touchMove" if i else "touchStart"
        device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [finger]})
    # At rest before it is lifted: the browser would take the next tap for the end of a fling.
    page.wait_for_timeout(500)
    device.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_photo_from_the_camera_is_asked_about_with_fingers(chat):
    page = chat.page
    with page.expect_file_chooser() as asked:
        chat.composer.get_by_text("Take a photo", exact=True).tap()
    assert asked.value.element.get_attribute("capture") == "environment"
    asked.value.set_files(SAMPLE)
    expect(chat.composer.get_by_role("button", name="Remove the photo")).to_be_visible()

    chat.composer.get_by_text("Advanced", exact=True).tap()
    chat.composer.get_by_role("button", name="Paint mask").tap()
    dialog = page.get_by_role("dialog")
    canvas = dialog.locator("canvas")
    scrolled = page.evaluate("scrollY")
    stroke(page, canvas)
    # Across two fifths of the picture, with a brush that has some width.
    assert canvas.evaluate(PAINTED) > 0.02
    assert page.evaluate("scrollY") == scrolled
    dialog.get_by_role("button", name="Use mask").tap()
    expect(dialog).to_be_hidden()

    chat.composer.get_by_role("spinbutton", name="Images").fill("1")
    chat.prompt.fill("Tropical beach")
    chat.create.tap()
    chat.finished(chat.turn, 1)
    chat.results(chat.turn).tap()
    expect(chat.dialog).to_be_visible()
    chat.dialog.get_by_role("button", name="Close").tap()
    expect(chat.dialog).to_be_hidden()


def test_what_was_tapped_does_not_keep_a_colour(chat):
    chat.page.emulate_media(reduced_motion="reduce")
    colours = """element => {
        const { color, backgroundColor } = getComputedStyle(element);
        return [color, backgroundColor];
    }"""
    for button in (
        chat.composer.get_by_role("button", name="Perfume backdrop"),
        chat.composer.get_by_text("Advanced", exact=True),
        chat.composer.get_by_role("button", name="Create", exact=True),
    ):
        before = button.evaluate(colours)
        button.tap()
        assert button.evaluate("element => element.matches(':hover')")
        assert button.evaluate(colours) == before
