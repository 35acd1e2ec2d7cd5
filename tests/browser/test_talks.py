"""Several conversations, favourites, and turns that are removed, repeated and followed back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

ENTRY = re.compile(r"^\w.* \d+ requests?")
"""The name of a conversation's button."""


def talks(chat) -> Locator:
    """The dialog of all conversations."""
    chat.page.get_by_role("button", name="Conversations", exact=True).click()
    dialog = chat.page.get_by_role("dialog", name="Conversations")
    expect(dialog).to_be_visible()
    return dialog


@pytest.fixture
def turn(chat) -> Locator:
    """A turn with two results."""
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=2, steps="4")
    chat.finished(turn, 2)
    return turn


def test_conversations_are_named_found_and_come_back_when_they_are_removed(chat, turn):
    page = chat.page
    chat.prompt.fill("a draft of the first")
    page.get_by_role("button", name="New", exact=True).click()
    expect(chat.conversation.get_by_role("article")).to_have_count(0)
    expect(chat.prompt).to_have_value("")
    chat.add_photo()
    second = chat.ask("City street at night", images=1, steps="4")
    chat.finished(second, 1)
    dialog = talks(chat)
    expect(dialog.get_by_role("button", name=ENTRY)).to_have_count(2)
    dialog.get_by_role("button", name="Rename “City street at night”").click()
    dialog.get_by_role("textbox", name="Name").fill("Winter catalogue")
    page.keyboard.press("Enter")
    dialog.get_by_role("searchbox").fill("perfume")
    expect(dialog.get_by_role("status")).to_have_text("1 conversation found")
    dialog.get_by_role("button", name=re.compile("^Perfume backdrop")).click()
    expect(chat.prompt).to_have_value("a draft of the first")
    chat.finished(chat.conversation.get_by_role("article").first, 2)
    page.reload()
    expect(chat.prompt).to_have_value("a draft of the first")
    talks(chat).get_by_role("button", name="Remove “Winter catalogue”").click()
    expect(page.get_by_text("The conversation is removed")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(chat.conversation.get_by_text("City street at night").first).to_be_visible()
    talks(chat).get_by_role("button", name="Remove “Winter catalogue”").click()
    expect(chat.conversation.get_by_text("Perfume backdrop").first).to_be_visible()
    page.reload()
    expect(
        talks(chat).get_by_role("button", name=re.compile(r"^\w.* \d+ requests?"))
    ).to_have_count(1)


def test_what_runs_in_another_conversation_goes_on(chat):
    chat.add_photo()
    turn = chat.ask("Tropical beach", images=2, steps="200")
    expect(turn.get_by_text(re.compile("Painting"))).to_be_visible()
    chat.page.get_by_role("button", name="New", exact=True).click()
    expect(chat.conversation.get_by_role("article")).to_have_count(0)
    # Also when the page is loaded again, and shows the other one.
    chat.page.reload()
    expect(chat.conversation.get_by_role("article")).to_have_count(0)
    chat.add_photo()
    behind = chat.ask("Perfume backdrop", images=1, steps="4")
    chat.finished(behind, 1)
    talks(chat).get_by_role("button", name=re.compile("^Tropical beach")).click()
    chat.finished(chat.conversation.get_by_role("article").first, 2)


def test_a_turn_is_removed_and_comes_back(chat, turn):
    page = chat.page
    turn.get_by_role("button", name="Remove “Perfume backdrop”").click()
    expect(chat.conversation.get_by_role("article")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    page.reload()
    chat.finished(turn, 2)
    turn.get_by_role("button", name="Remove “Perfume backdrop”").click()
    page.reload()
    expect(chat.models).not_to_have_count(0)
    expect(chat.conversation.get_by_role("article")).to_have_count(0)


def test_favourites_are_found_again(chat, turn):
    page = chat.page
    dialog = chat.open_result(turn, 2)
    dialog.get_by_role("button", name="Favourite").click()
    page.keyboard.press("Escape")
    page.reload()
    page.get_by_role("button", name="New", exact=True).click()
    expect(chat.conversation.get_by_role("article")).to_have_count(0)
    talks(chat).get_by_role("button", name="Image 2: Perfume backdrop").click()
    expect(chat.dialog).to_have_accessible_name("Image 2")
    star = chat.dialog.get_by_role("button", name="Favourite")
    expect(star).to_have_attribute("aria-pressed", "true")
    star.click()
    page.keyboard.press("Escape")
    expect(talks(chat).get_by_text("None yet")).to_be_visible()


def test_the_same_is_made_with_another_seed(chat, turn):
    chat.open_result(turn, 1).get_by_role("button", name="Same, other seed").click()
    again = chat.conversation.get_by_role("article").nth(1)
    chat.finished(again, 2)
    assert chat.url_of(again, 1) != chat.url_of(turn, 1)
    seeds = []
    for made in (turn, again):
        seeds.append(re.search(r"Seed (\d+)", chat.open_result(made, 1).inner_text())[1])
        chat.page.keyboard.press("Escape")
    assert seeds[0] != seeds[1]


def test_more_like_an_image_has_a_thread_to_it(chat, turn):
    page = chat.page
    with page.expect_request("**/api/variation") as request:
        chat.open_result(turn, 2).get_by_role("button", name="More like this").click()
    sent = request.value.post_data_json
    assert sent["image_url"] == chat.url_of(turn, 2)
    assert sent["strength"] == 0.6
    more = chat.conversation.get_by_role("article").nth(1)
    chat.finished(more, 2)
    more.get_by_role("button", name="continues image 2 of “Perfume backdrop”").click()
    expect(turn.get_by_role("button", name="Open image 2")).to_be_focused()


def test_nothing_is_typed_into_a_composer_that_is_about_to_change(chat, turn):
    page = chat.page
    chat.prompt.fill("a draft of the first")
    page.get_by_role("button", name="New", exact=True).click()
    expect(chat.prompt).to_have_value("")
    page.evaluate(
        """() => {
          const form = document.getElementById("composer");
          const prompt = form.querySelector("textarea");
          window.seen = [];
          new MutationObserver(() => window.seen.push([form.inert, prompt.value]))
            .observe(form, { attributeFilter: ["inert"] });
        }"""
    )
    talks(chat).get_by_role("button", name=re.compile("^Perfume backdrop")).click()
    expect(chat.prompt).to_have_value("a draft of the first")
    expect(page.locator("#composer[inert]")).to_have_count(0)
    seen = page.evaluate("window.seen")
    assert (seen[0][0], seen[-1]) == (True, [False, "a draft of the first"])
    page.keyboard.type(", and more")
    expect(chat.prompt).to_have_value("a draft of the first, and more")
