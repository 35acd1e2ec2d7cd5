"""The empty page shows what the service does, and lets it be tried in one click."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

DROP = """(kinds) => {
    const data = new DataTransfer();
    for (const [kind, text] of Object.entries(kinds)) data.setData(kind, text);
    const options = { bubbles: true, cancelable: true, dataTransfer: data };
    const event = new DragEvent("drop", options);
    document.body.dispatchEvent(event);
    return event.defaultPrevented;
}"""
PASTE = """(text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    const options = { bubbles: true, cancelable: true, clipboardData: data };
    const event = new ClipboardEvent("paste", options);
    document.querySelector("#prompt").dispatchEvent(event);
    return event.defaultPrevented;
}"""
ELSEWHERE = "https://elsewhere.example/shop/shoe.jpg?size=800"


def test_the_empty_page_shows_a_before_and_an_after(chat, screenshots):
    page = chat.page
    for name in ("The photo", "What this service made of it"):
        picture = page.get_by_role("img", name=name)
        expect(picture).to_be_visible()
        assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 480
    page.screenshot(path=screenshots / "welcome.png")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_sample_is_tried_in_one_click(chat, place):
    chat.page.get_by_role("group", name="Try it").get_by_role("button").nth(place).click()
    turn = chat.turn
    chat.finished(turn)
    # The product was found in it.
    expect(chat.open_result(turn, 1).get_by_text("pixel for pixel")).to_be_visible()


def test_a_picture_of_another_page_is_explained(chat):
    said = chat.page.get_by_role("alert").get_by_text("Save it first")
    assert chat.page.evaluate(DROP, {"text/uri-list": ELSEWHERE, "text/plain": ELSEWHERE})
    expect(said).to_be_visible()
    chat.prompt.fill("Forest")
    expect(said).to_be_hidden()
    # What is pasted stays a text, of which one may want to be told.
    assert not chat.page.evaluate(PASTE, ELSEWHERE)
    expect(said).to_be_visible()
    chat.prompt.fill("Forest")
    assert not chat.page.evaluate(PASTE, f"like {ELSEWHERE}")
    chat.page.wait_for_timeout(100)
    expect(said).to_be_hidden()
