"""The page itself: its weight, its confinement, its stillness, its sizes and its colours."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

PAGE_LIMIT_BYTES = 160_000
"""Of what the page loads at once."""
SENT_LIMIT_BYTES = 90_000
"""Of all of it, as it is sent: compressed."""
MARKUP = "<img src=x onerror=\"document.title='hacked'\"><b>bold</b>"


@pytest.fixture
def context_options(request) -> dict[str, object]:
    options = {"viewport": {"width": 1280, "height": 900}}
    return {**options, **getattr(request, "param", {})}


def test_the_page_is_light_and_loads_nothing_from_elsewhere(service, context, open_chat):
    bodies, sent = {}, {}

    def arrived(response) -> None:
        path = response.url.removeprefix(service)
        pictures = ("/playground/pictures/", "/playground/samples/", "/cutouts/")
        if not path.startswith(("/api/", *pictures, "blob:", "data:")):
            bodies[path] = len(response.body())
            sent[path] = response.request.sizes()["responseBodySize"]

    context.on("response", arrived)
    chat = open_chat(service)
    chat.page.wait_for_load_state("networkidle")
    assert len(bodies) > 5
    assert sum(bodies.values()) < PAGE_LIMIT_BYTES, bodies
    chat.add_photo()
    chat.composer.get_by_text("Advanced", exact=True).click()
    chat.composer.get_by_role("button", name="Paint mask").click()
    expect(chat.page.get_by_role("dialog")).to_be_visible()
    assert not [path for path in bodies if not path.startswith("/")]
    # What a click loads later counts as well.
    assert sum(sent.values()) < SENT_LIMIT_BYTES, sent


def test_it_is_seen_before_all_of_it_has_arrived(service, context):
    page, held = context.new_page(), []
    page.route("**/playground/main.js", lambda route: held.append(route))
    with page.expect_request("**/playground/main.js"):
        page.goto(service, wait_until="commit")
    expect(page.get_by_text("A new place for your product")).to_be_visible()
    expect(page.locator("#tries img")).to_have_count(3)
    # What nobody would hear takes no click.
    expect(page.locator("main[inert]")).to_have_count(1)
    held[0].continue_()
    expect(page.locator("[inert]")).to_have_count(0)


def test_nothing_else_is_asked_for_before_it_is_seen(service, context):
    page, held, asked = context.new_page(), [], []
    page.route("**/playground/begin.js", lambda route: held.append(route))
    page.on("request", lambda request: asked.append(urlsplit(request.url).path.split("/")[-1]))
    page.goto(service, wait_until="commit")
    expect(page.locator("main[inert]")).to_have_count(1)
    page.wait_for_timeout(300)
    scripts = {name for name in asked if name.endswith(".js")}
    assert scripts == {"begin.js", "strings.js", "dom.js", "samples.js"}
    held[0].continue_()
    expect(page.locator("[inert]")).to_have_count(0)


def test_markup_in_a_prompt_is_text(chat):
    chat.add_photo()
    title = chat.page.title()
    turn = chat.ask(MARKUP, images=1)
    expect(turn.get_by_text(MARKUP, exact=True).first).to_be_visible()
    chat.finished(turn, 1)
    chat.open_result(turn, 1)
    expect(chat.dialog.get_by_text(MARKUP, exact=True)).to_be_visible()
    assert chat.page.locator("b").count() == 0
    assert chat.page.title() == title


def test_nothing_moves_when_images_arrive(chat):
    chat.add_photo()
    chat.page.wait_for_timeout(600)  # what moves within half a second of an input is its doing
    chat.page.evaluate("window.shifts = []")
    turn = chat.ask("Perfume backdrop")
    expect(turn.get_by_role("progressbar", name="Image 4")).to_be_visible()
    chat.finished(turn)
    chat.page.wait_for_timeout(300)
    unasked = chat.page.evaluate("window.shifts.filter((shift) => !shift.hadRecentInput)")
    assert unasked == []


@pytest.mark.parametrize(
    "context_options",
    [{"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}],
    indirect=True,
)
def test_a_phone_needs_no_sideways_scrolling(chat, screenshots):
    chat.composer.get_by_text("Picture", exact=True).click()
    chat.composer.get_by_role("combobox", name="Background", exact=True).select_option("image")
    assert chat.page.locator("#card").evaluate("card => card.scrollWidth - card.clientWidth") <= 0
    chat.page.screenshot(path=screenshots / "phone-picture.png")
    chat.composer.get_by_role("combobox", name="Background", exact=True).select_option("")
    chat.composer.get_by_text("Picture", exact=True).click()

    def sideways() -> bool:
        # Not against innerWidth, which a phone's browser stretches to what overflows.
        return chat.page.evaluate("document.documentElement.scrollWidth > screen.width")

    assert not sideways()
    chat.add_photo()
    turn = chat.ask("Aprilskaffeeundkuchenhintergrund" * 4, images=2)
    chat.finished(turn, 2)
    assert not sideways()
    chat.page.screenshot(path=screenshots / "phone.png")
    dialog = chat.open_result(turn, 1)
    box = dialog.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    chat.page.screenshot(path=screenshots / "phone-dialog.png")


@pytest.mark.parametrize("size", [(360, 740), (1280, 900), (1440, 900)])
def test_nothing_moves_when_the_models_arrive(chat, size):
    width, height = size
    chat.page.set_viewport_size({"width": width, "height": height})
    chat.page.reload()
    expect(chat.models).not_to_have_count(0)
    chat.page.wait_for_load_state("networkidle")
    assert chat.page.evaluate("shifts.reduce((sum, { value }) => sum + value, 0)") < 0.02


def test_create_does_not_wrap_alone(chat):
    chat.add_photo()
    chat.finished(chat.ask("Perfume backdrop", images=1), 1)
    middle = (
        "(field) => { const { y, height } = field.getBoundingClientRect(); return y + height / 2 }"
    )
    model = chat.composer.get_by_role("combobox", name="Model")
    for width in (1440, 1280, 1024, 768):
        chat.page.set_viewport_size({"width": width, "height": 900})
        assert abs(chat.create.evaluate(middle) - model.evaluate(middle)) < 2, width
        # Where all has room, there is one row.
        if width == 1440:
            assert abs(chat.create.evaluate(middle) - chat.prompt.evaluate(middle)) < 2


def test_dark_is_dark(chat, screenshots):
    def light() -> float:
        colour = chat.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3

    assert light() > 200
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=2)
    chat.finished(turn, 2)
    # Without motion the colours are there at once.
    chat.page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert light() < 60
    chat.page.screenshot(path=screenshots / "dark.png")


@pytest.mark.parametrize("context_options", [{"reduced_motion": "reduce"}], indirect=True)
def test_reduced_motion_is_respected(chat):
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=1)
    expect(turn.get_by_role("progressbar")).to_be_visible()
    moving = """() => document.getAnimations().map((animation) => {
        const { duration, iterations } = animation.effect.getComputedTiming();
        return [animation.animationName ?? animation.transitionProperty, duration, iterations];
    }).filter(([, duration]) => duration > 10)"""
    assert chat.page.evaluate(moving) == []
    chat.finished(turn, 1)
    chat.open_result(turn, 1)
    assert chat.page.evaluate(moving) == []
