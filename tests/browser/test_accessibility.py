"""Everybody can use it: axe finds nothing, and no mouse is needed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chat import SAMPLE

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def check(page: Page, axe: str) -> None:
    """Fail with what axe-core finds on the page as it is now."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"{axe}; undefined")
    found = page.evaluate(
        "tags => axe.run(document, { runOnly: tags }).then((result) => result.violations)", RULES
    )
    told = [
        f"{rule['id']}: {rule['help']}: {[node['html'][:200] for node in rule['nodes']]}"
        for rule in found
    ]
    assert told == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing(chat, axe, scheme, width, expected_failures):
    expected_failures.append("status of 400")
    page = chat.page
    # Colours are looked at as they are in the end.
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    check(page, axe)
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=2)
    chat.finished(turn, 2)
    check(page, axe)
    chat.open_result(turn, 1)
    check(page, axe)
    chat.dialog.get_by_role("button", name="Favourite").click()
    chat.dialog.get_by_role("button", name="Change it").click()
    page.get_by_role("button", name="Conversations").click()
    expect(page.get_by_role("dialog", name="Conversations")).to_be_visible()
    check(page, axe)
    page.keyboard.press("Escape")
    failed = chat.ask("Perfume backdrop", steps="5000")
    expect(failed.get_by_role("alert").get_by_text("steps")).to_be_visible()
    chat.composer.get_by_text("Advanced", exact=True).click()
    failed.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    check(page, axe)


def focused(page: Page) -> str:
    return page.evaluate("""() => {
        const { activeElement: element } = document;
        const label = element.labels?.[0] ?? element;
        return (element.ariaLabel || (label.querySelector("span") ?? label).textContent).trim();
    }""")


def test_no_mouse_is_needed(chat):
    """A whole turn, its dialog and a variation by keys alone."""
    page, keys = chat.page, chat.page.keyboard
    chat.prompt.focus()
    with page.expect_file_chooser() as chooser:
        keys.press("Alt+p")
    chooser.value.set_files(SAMPLE)
    expect(chat.composer.get_by_role("button", name="Remove the photo")).to_be_visible()
    expect(chat.prompt).to_be_focused()
    keys.type("A first line")
    keys.press("Shift+Enter")
    keys.type("and a second")
    keys.press("Enter")
    turn = chat.turn
    chat.finished(turn)
    expect(chat.prompt).to_be_focused()
    expect(chat.prompt).to_have_value("")
    keys.press("ArrowUp")
    assert focused(page) == "Open image 4"
    keys.press("ArrowLeft")
    assert focused(page) == "Open image 3"
    keys.press("Enter")
    expect(page.get_by_role("dialog", name="Image 3")).to_be_visible()
    assert focused(page) == "Compare with the photo"
    value = page.evaluate("document.activeElement.value")
    keys.press("End")
    assert page.evaluate("document.activeElement.value") != value
    # The focus stays in the dialog, and comes back from it.
    for _ in range(20):
        keys.press("Tab")
        # Beyond its last element lies the browser's own bar, of which a page sees its body.
        assert page.evaluate("document.activeElement.matches('body, dialog *')")
    keys.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert focused(page) == "Open image 3"
    keys.press("c")
    expect(chat.prompt).to_be_focused()
    keys.type("Change background to forest")
    with page.expect_request("**/api/variation"):
        keys.press("Enter")
    expect(chat.conversation.get_by_role("article")).to_have_count(2)
    keys.press("Escape")
    expect(chat.turn.get_by_text(re.compile("Cancelled"))).to_be_visible()


KEYS_TO = {
    "Sample photos": "Alt+s",
    "Ideas": "Alt+i",
    "Model": "Alt+o",
    "Images": "Alt+o Tab",
    "Seed": "Alt+a",
    "Steps": "Alt+a Tab",
    "Strength": "Alt+a Tab Tab",
    "Guidance": "Alt+g",
    "Negative prompt": "Alt+n",
    "Preserve product": "Alt+n Tab",
    "Paint mask": "Alt+n Tab Tab",
    "Keyboard": "?",
}
"""Which keys lead from the prompt to a control; a few controls belong to a named group."""


@pytest.mark.parametrize("wanted", KEYS_TO)
def test_no_control_is_more_than_three_keys_away(chat, wanted):
    if wanted == "Paint mask":
        chat.add_photo()
    chat.prompt.focus()
    keys = KEYS_TO[wanted].split()
    assert len(keys) <= 3
    for key in keys:
        chat.page.keyboard.press(key)
    group = chat.page.evaluate("document.activeElement.closest('[role=group]')?.ariaLabel")
    assert wanted in (focused(chat.page), group)


def test_everything_can_be_reached_with_tab_and_shows_it(chat):
    page = chat.page
    chat.add_photo()
    chat.finished(chat.ask("Perfume backdrop", images=1), 1)
    chat.composer.get_by_text("Advanced", exact=True).click()
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(45):
        page.keyboard.press("Tab")
        reached.add(focused(page))
        outlined = page.evaluate("""() => {
            const shown = (element) => {
                const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
                return (outlineStyle !== "none" && parseFloat(outlineWidth) > 0)
                    || boxShadow !== "none";
            };
            const { activeElement: element } = document;
            return element === document.body || [element, ...(element.labels ?? []),
                element.closest("#card"), element.parentElement].filter(Boolean).some(shown);
        }""")
        assert outlined, focused(page)
    wanted = {"Open image 1", "Prompt", "Create", "Conversations", "Model", "Images", "Photo"}
    wanted |= {"Seed", "Steps", "Strength", "Guidance", "Negative prompt", "Paint mask"}
    assert wanted <= reached, wanted - reached


def test_a_screen_reader_hears_what_happens(chat, expected_failures):
    expected_failures.append("status of 400")
    page = chat.page
    page.evaluate("""() => {
        window.heard = [];
        const region = document.querySelector("[role=status]");
        new MutationObserver(() => heard.push(region.textContent))
            .observe(region, { childList: true, characterData: true, subtree: true });
    }""")
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=2)
    chat.finished(turn, 2)
    expect(turn.get_by_text(re.compile(r"2 images in"))).to_be_visible()
    # That the product was found is told whenever it is, before the request or while it runs.
    heard = [text for text in page.evaluate("heard") if text != "Product found"]
    assert heard[0] == "Making 2 images"
    assert {"Image 1 of 2 is ready", "Image 2 of 2 is ready"} <= set(heard)
    assert heard[-1].startswith("All done: 2 images")
