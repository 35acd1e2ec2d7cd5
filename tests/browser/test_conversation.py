"""A conversation, from the first photo to the last variation, on the real service."""

from __future__ import annotations

import re
from io import BytesIO
from urllib.parse import quote

import httpx
import pytest
from PIL import Image
from playwright.sync_api import expect

SEED = re.compile(r"Seed (\d+)")


def pixels(png: bytes) -> bytes:
    return Image.open(BytesIO(png)).tobytes()


def test_from_a_photo_to_a_variation(chat, service, context, screenshots):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = chat.page
    # Notes how far each bar is moved. What happens between two looks at the page is noted, too.
    page.evaluate("""() => {
        window.steps = {};
        const bar = HTMLProgressElement.prototype;
        const { get, set } = Object.getOwnPropertyDescriptor(bar, "value");
        Object.defineProperty(bar, "value", { get, set(value) {
            const name = this.getAttribute("aria-label");
            steps[name] = Math.max(steps[name] ?? 0, value);
            set.call(this, value);
        } });
    }""")
    models = httpx.get(f"{service}/api/models").json()["models"]
    expect(chat.models).to_have_text([model["name"] for model in models])
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", steps="200")
    expect(turn.get_by_text("Perfume backdrop")).to_be_visible()
    expect(turn.get_by_role("progressbar", name="Image 1")).to_be_visible()
    chat.finished(turn)
    seen = page.evaluate("steps")
    assert sorted(seen) == [f"Image {number}" for number in (1, 2, 3, 4)]
    assert all(step > 0 for step in seen.values()), seen
    expect(turn.get_by_role("img", name="Image 3: Perfume backdrop")).to_be_visible()

    dialog = chat.open_result(turn, 2)
    expect(dialog.get_by_text("pixel for pixel")).to_be_visible()
    seed = SEED.search(dialog.inner_text())[1]
    slider = dialog.get_by_role("slider", name="Compare with the photo")
    before = slider.input_value()
    slider.press("PageUp")
    assert slider.input_value() != before
    page.screenshot(path=screenshots / "dialog.png")
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    dialog.get_by_role("button", name="Copy link").click()
    expect(dialog.get_by_text("Link copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(service)
    assert seed in link

    dialog.get_by_role("button", name="Same again").click()
    expect(chat.composer.get_by_label("Seed", exact=True)).to_have_value(seed)
    expect(chat.prompt).to_have_value("Perfume backdrop")
    chat.create.click()
    again = chat.conversation.get_by_role("article").nth(1)
    chat.finished(again, 1)
    urls = [chat.url_of(turn, 2), chat.url_of(again, 1)]
    first, second = (httpx.get(url).content for url in urls)
    assert pixels(first) == pixels(second)

    chat.open_result(turn, 1).get_by_role("button", name="Change it").click()
    expect(chat.composer.get_by_text("Continues: Image 1")).to_be_visible()
    with page.expect_request("**/api/variation") as request:
        varied = chat.ask("Change background to forest", images=2)
    assert request.value.post_data_json["image_url"] == chat.url_of(turn, 1)
    chat.finished(varied, 2)
    page.screenshot(path=screenshots / "light.png")


def test_the_history_survives_a_reload_until_it_is_cleared(chat):
    page = chat.page
    chat.add_photo()
    turn = chat.ask("City street at night", images=1)
    chat.finished(turn, 1)
    page.reload()
    expect(turn.get_by_text("City street at night")).to_be_visible()
    chat.finished(turn, 1)
    # The photo is there as well.
    expect(chat.open_result(turn, 1).get_by_role("slider")).to_be_visible()
    chat.dialog.get_by_role("button", name="Close").click()

    def clear() -> None:
        page.get_by_role("button", name="Conversations").click()
        page.get_by_role("button", name="Clear history").click()

    clear()
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    expect(turn).to_be_visible()
    clear()
    page.get_by_role("dialog").get_by_role("button", name="Clear", exact=True).click()
    expect(turn).to_have_count(0)
    page.reload()
    expect(chat.composer).to_be_visible()
    expect(chat.models).not_to_have_count(0)
    expect(turn).to_have_count(0)


def test_a_shared_link_shows_the_picture(chat, open_chat, context, screenshots):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    chat.add_photo()
    turn = chat.ask("Clean white studio", images=1, seed="77", strength="0.8")
    chat.finished(turn, 1)
    chat.open_result(turn, 1).get_by_role("button", name="Copy link").click()
    expect(chat.dialog.get_by_text("Link copied")).to_be_visible()
    shared = open_chat(chat.page.evaluate("navigator.clipboard.readText()"))
    shown = shared.page.get_by_role("dialog")
    expect(shown.get_by_role("img", name="Image 1: Clean white studio")).to_be_visible()
    expect(shown.get_by_text("Seed 77")).to_be_visible()
    expect(shown.get_by_role("button", name="Delete")).to_have_count(0)
    shared.page.screenshot(path=screenshots / "shared.png")
    shown.get_by_role("button", name="Change it").click()
    expect(shared.prompt).to_have_value("Clean white studio")
    expect(shared.composer.get_by_label("Seed", exact=True)).to_have_value("77")
    expect(shared.composer.get_by_label("Strength")).to_have_value("0.8")
    turns = shared.conversation.get_by_role("article")
    expect(turns).to_have_count(1)
    with shared.page.expect_request("**/api/variation") as request:
        shared.create.click()
    assert request.value.post_data_json["seed"] == 77
    shared.finished(turns.nth(1), 1)


def test_a_shared_link_helps_to_make_ones_own(chat, open_chat, context):
    chat.add_photo()
    turn = chat.ask("Clean white studio", images=1, seed="77")
    chat.finished(turn, 1)
    url = chat.url_of(turn, 1)
    chat.composer.get_by_role("button", name="Remove the photo").click()
    link = f"{chat.page.url}#image_url={quote(url, safe='')}&prompt=Clean+white+studio&seed=77"
    shared = open_chat(link)
    own = shared.page.get_by_role("button", name="Make your own")
    expect(own).to_be_focused()
    own.click()
    expect(shared.page.get_by_role("dialog")).to_have_count(0)
    expect(shared.prompt).to_have_value("Clean white studio")
    expect(shared.composer.get_by_label("Seed", exact=True)).to_have_value("")
    expect(shared.composer.get_by_text("Continues:")).to_be_hidden()
    shared.create.click()
    expect(shared.page.get_by_role("alert").get_by_text("Add a photo first")).to_be_visible()


@pytest.mark.parametrize(
    ("fragment", "said"),
    [
        ("image_url={gone}&prompt=Forest", "no longer stored"),
        ("image_url=https://elsewhere.example/cup.png&prompt=Forest", "not whole"),
        ("image_url=", "not whole"),
    ],
)
def test_a_link_that_leads_nowhere_says_so(service, open_chat, expected_failures, fragment, said):
    expected_failures.append("status of 404")
    gone = quote(f"{service}/generated/{'0' * 32}.png", safe="")
    chat = open_chat(f"{service}/#{fragment.format(gone=gone)}")
    expect(chat.page.get_by_role("alert").get_by_text(said)).to_be_visible()


def test_a_painted_mask_is_sent(chat):
    page = chat.page
    # Playwright does not tell what a form with files holds.
    page.add_init_script("""
        const { fetch } = window;
        window.sent = [];
        window.fetch = (url, init) => {
            const { body } = init ?? {};
            if (body instanceof FormData) sent.push([...body.keys()]);
            else if (typeof body === "string") sent.push(Object.keys(JSON.parse(body)));
            return fetch(url, init);
        };
    """)
    page.reload()
    chat.add_photo()
    chat.composer.get_by_text("Advanced", exact=True).click()
    chat.composer.get_by_role("button", name="Paint mask").click()
    dialog = page.get_by_role("dialog")
    box = dialog.locator("canvas").last.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5, steps=5)
    page.mouse.up()
    dialog.get_by_role("button", name="Use mask").click()
    turn = chat.ask("Perfume backdrop", images=1)
    chat.finished(turn, 1)
    # The marked product is cut out once; what is made of it needs neither photo nor mask again.
    cut, asked = page.evaluate("sent.slice(-2)")
    assert {"image", "product_mask"} <= set(cut)
    assert "cutout" in asked
    assert not {"image", "product_mask"} & set(asked)


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_photo_may_be_dropped_or_pasted(chat, way):
    chat.page.evaluate(
        """async (way) => {
            const blob = await (await fetch("playground/samples/coffee.png")).blob();
            const data = new DataTransfer();
            data.items.add(new File([blob], "cup.png", { type: "image/png" }));
            const options = { bubbles: true, cancelable: true };
            document.body.dispatchEvent(way === "drop"
                ? new DragEvent("drop", { ...options, dataTransfer: data })
                : new ClipboardEvent("paste", { ...options, clipboardData: data }));
        }""",
        way,
    )
    expect(chat.composer.get_by_role("button", name="Remove the photo")).to_be_visible()
