"""The output's shape is chosen by buttons, which are one stop of the keyboard."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

SHAPES = ("As photo", "1:1", "4:5", "9:16", "16:9")


def test_the_shapes_are_a_group_of_choices(chat):
    radios = chat.shape("As photo").locator("xpath=..").get_by_role("radio")
    names = [radio.evaluate("({ labels }) => labels[0].textContent") for radio in radios.all()]
    assert tuple(names) == SHAPES
    expect(chat.shape("As photo")).to_be_checked()
    # The ring is where the focus is, though the field itself is not seen.
    chat.shape("As photo").focus()
    chat.page.keyboard.press("ArrowRight")
    ring = chat.composer.get_by_text("1:1", exact=True).evaluate(
        "(label) => getComputedStyle(label).outlineStyle"
    )
    assert ring == "solid"


def test_the_arrow_keys_choose_and_the_tab_key_goes_on(chat):
    page = chat.page
    chat.shape("As photo").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(chat.shape("4:5")).to_be_focused()
    expect(chat.shape("4:5")).to_be_checked()
    page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.name")
    page.keyboard.press("Shift+Tab")
    expect(chat.shape("4:5")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(chat.shape("16:9")).to_be_checked()


@pytest.mark.parametrize(("name", "ratio"), [("As photo", 1.5), ("9:16", 9 / 16), ("16:9", 16 / 9)])
def test_the_result_has_the_shape(chat, name, ratio):
    chat.add_photo()
    chat.choose_shape(name)
    chat.composer.get_by_role("combobox", name="Background", exact=True).select_option("#FFFFFF")
    chat.create.click()
    chat.finished(chat.turn, 1)
    image = chat.turn.locator("li img").first
    width, height = image.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert width / height == pytest.approx(ratio, rel=0.01)


def test_a_link_with_another_shape_chooses_none_of_them(chat, expected_failures):
    expected_failures.append("404")  # of the link's image
    chat.choose_shape("4:5")
    chat.page.evaluate("""() => {
        const fields = { prompt: "Forest", aspect_ratio: "7:3" };
        fields.image_url = new URL(`generated/${"0".repeat(32)}.png`, document.baseURI).href;
        location.hash = new URLSearchParams(fields);
    }""")
    expect(chat.prompt).to_have_value("Forest")
    expect(chat.shape("As photo")).to_be_checked()
