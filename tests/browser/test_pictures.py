"""The pictures come first: they fill the window, and the large view has all of a turn."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

SHARE = """() => [...document.querySelectorAll(".result img")].reduce(
    (sum, image) => sum + image.clientWidth * image.clientHeight, 0) / (innerWidth * innerHeight)"""


@pytest.fixture
def context_options() -> dict[str, object]:
    return {"viewport": {"width": 1440, "height": 900}}


def test_four_images_fill_the_window(chat, screenshots):
    chat.add_photo()
    expect(chat.found()).to_have_text("Product found")
    turn = chat.ask("Perfume backdrop")
    chat.finished(turn)
    assert chat.page.evaluate(SHARE) >= 0.45
    in_sight = "images => images.every((image) => image.getBoundingClientRect().top >= 0)"
    assert turn.locator("li img").evaluate_all(in_sight)
    for width, height in ((320, 640), (768, 1024), (2560, 1440)):
        chat.page.set_viewport_size({"width": width, "height": height})
        assert chat.page.evaluate("document.documentElement.scrollWidth") <= width
        chat.page.screenshot(path=screenshots / f"four-{width}.png")


def test_what_is_shown_small_is_loaded_small(chat):
    chat.page.set_viewport_size({"width": 800, "height": 600})
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=4)
    chat.finished(turn)
    widths = turn.locator("li img").evaluate_all(
        "images => images.map(({ naturalWidth, clientWidth }) => [naturalWidth, clientWidth])"
    )
    assert all(shown <= loaded <= 512 for loaded, shown in widths)


def test_the_large_view_goes_through_a_turn(chat):
    page = chat.page
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=3)
    chat.finished(turn, 3)
    chat.open_result(turn, 3)
    dialog = page.get_by_role("dialog")
    box = dialog.bounding_box()
    assert (box["width"], box["height"]) == (1440, 900)
    dialog.get_by_role("button", name="Next image").click()
    expect(chat.dialog).to_have_accessible_name("Image 1")
    expect(dialog.get_by_text("Image 1 of 3")).to_be_visible()
    page.keyboard.press(".")
    expect(chat.dialog).to_have_accessible_name("Image 2")
    page.keyboard.press(",")
    page.keyboard.press(",")
    expect(chat.dialog).to_have_accessible_name("Image 3")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(turn.get_by_role("button", name="Open image 3")).to_be_focused()


def test_the_menu_of_the_image_is_the_browsers(chat):
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=1)
    chat.finished(turn, 1)
    dialog = chat.open_result(turn, 1)
    chat.page.evaluate(
        "addEventListener('contextmenu', ({ target }) => (window.menu = target.tagName))"
    )
    # Where the whole of the result is shown, and not the photo.
    box = dialog.get_by_role("slider").bounding_box()
    place = (box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    chat.page.mouse.click(*place, button="right")
    assert chat.page.evaluate("window.menu") == "IMG"


def test_demo_weights_are_told_for_what_they_are(chat):
    expect(chat.page.locator("#demo")).to_be_visible()
    expect(chat.page.get_by_text("This model is a small demo")).to_be_visible()
    chat.composer.get_by_role("combobox", name="Model").select_option(index=1)
    expect(chat.page.locator("#demo")).to_be_hidden()


def test_what_is_done_now_is_told(chat):
    chat.page.evaluate("""() => {
        window.states = [];
        new MutationObserver(() => {
            const text = document.querySelector(".state")?.textContent;
            if (text && states.at(-1) !== text) states.push(text);
        }).observe(document.body, { subtree: true, childList: true, characterData: true });
    }""")
    chat.add_photo()
    expect(chat.found()).to_have_text("Product found")
    turn = chat.ask("Perfume backdrop", images=2, steps="200")
    chat.finished(turn, 2)
    expect(turn.get_by_text("2 images in")).to_be_visible()
    told = chat.page.evaluate("states.map((text) => text.split(/[,… ]/)[0])")
    order = list(dict.fromkeys(told))
    assert order[0] == "Sending"
    assert order[-1] == "2"
    assert set(order[1:-1]) <= {"Starting", "In", "Painting", "Finishing"}
    assert "Painting" in order
