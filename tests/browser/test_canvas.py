"""The picture's fields on the page: a background without a model, a shape, a preset."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.chat import SAMPLE


def choose(chat, field: str, option: str) -> None:
    select = chat.composer.get_by_role("combobox", name=field, exact=True)
    if not select.is_visible():
        chat.composer.get_by_text("Picture", exact=True).click()
    select.select_option(label=option)


def size_of(chat, turn) -> tuple[int, int]:
    image = turn.locator("li img").first
    return tuple(image.evaluate("image => [image.naturalWidth, image.naturalHeight]"))


def test_a_plain_background_needs_no_prompt(chat, screenshots):
    chat.add_photo()
    choose(chat, "Background", "White")
    chat.choose_shape("1:1")
    choose(chat, "File", "JPEG")
    chat.prompt.fill("kept for later")
    chat.create.click()
    turn = chat.turn
    chat.finished(turn, 1)
    width, height = size_of(chat, turn)
    assert width == height
    assert chat.url_of(turn, 1).endswith(".jpg")
    # The prompt was not sent, so it is not taken away.
    expect(chat.prompt).to_have_value("kept for later")
    chat.page.screenshot(path=screenshots / "plain.png")
    dialog = chat.open_result(turn, 1)
    expect(dialog.get_by_role("slider")).to_have_count(0)
    expect(dialog.get_by_text(re.compile("Seed"))).to_have_count(0)


def test_a_preset_fills_in_the_fields(chat):
    chat.add_photo()
    choose(chat, "Preset", "story")
    turn = chat.ask("Perfume backdrop", images=1)
    chat.finished(turn, 1)
    width, height = size_of(chat, turn)
    assert abs(width / height - 9 / 16) < 0.01


def test_a_picture_of_ones_own_is_asked_for(chat):
    chat.add_photo()
    choose(chat, "Background", "My picture")
    chat.create.click()
    expect(chat.composer.get_by_role("alert")).to_contain_text("Choose the background picture")
    own = chat.composer.get_by_label("Background picture", exact=True)
    own.set_input_files(SAMPLE)
    chat.create.click()
    chat.finished(chat.turn, 1)
