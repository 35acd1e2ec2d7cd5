"""What is taken for the product: shown at once, corrected with strokes, and kept."""

from __future__ import annotations

import json
import re
from io import BytesIO

import httpx
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import FilePayload, Page, expect

from tests.browser.test_phone import PAINTED

# Playwright does not tell what a form with files holds.
NOTE_FORMS = """
    const { fetch } = window;
    window.sent = [];
    window.fetch = (url, init) => {
        if (init?.body instanceof FormData) {
            const texts = [...init.body].map(([name, value]) =>
                [name, value instanceof Blob ? `${value.type} ${value.size}` : value]);
            sent.push([String(url), Object.fromEntries(texts)]);
        }
        return fetch(url, init);
    };
"""


@pytest.fixture
def chat(chat):
    chat.page.add_init_script(NOTE_FORMS)
    chat.page.reload()
    expect(chat.models).not_to_have_count(0)
    return chat


def sent(page: Page, path: str) -> list[dict[str, str]]:
    return [form for url, form in page.evaluate("sent") if url.endswith(path)]


def file(image: Image.Image, name: str = "photo.png", kind: str = "PNG") -> FilePayload:
    buffer = BytesIO()
    image.save(buffer, kind)
    return {"name": name, "mimeType": f"image/{kind.lower()}", "buffer": buffer.getvalue()}


def two_boxes() -> Image.Image:
    """A large box, and a small one beside it."""
    image = Image.new("RGB", (300, 200), (225, 222, 215))
    draw = ImageDraw.Draw(image)
    draw.rectangle((60, 40, 160, 170), fill=(30, 60, 180))
    draw.rectangle((220, 130, 260, 170), fill=(180, 40, 30))
    return image


def draw_stroke(
    page: Page, kind: str, start: tuple[float, float], end: tuple[float, float]
) -> None:
    """A stroke between two places, shares of width and height."""
    page.get_by_role("dialog").get_by_role("button", name=kind, exact=True).click()
    page.mouse.move(*place(page, start))
    page.mouse.down()
    page.mouse.move(*place(page, end), steps=4)
    page.mouse.up()


def place(page: Page, shares: tuple[float, float]) -> tuple[float, float]:
    """A place of the canvas, in the window."""
    box = page.get_by_role("dialog").locator("canvas").bounding_box()
    assert box is not None
    return box["x"] + box["width"] * shares[0], box["y"] + box["height"] * shares[1]


def click_at(page: Page, shares: tuple[float, float]) -> None:
    """Press the mouse, and move it no further than a hand does."""
    page.mouse.move(*place(page, shares))
    page.mouse.down()
    page.mouse.move(*[part + 1 for part in place(page, shares)])
    page.mouse.up()


def test_the_product_is_found_shown_and_kept_without_a_second_upload(chat):
    chat.add_photo()
    expect(chat.found()).to_have_text("Product found")
    with chat.page.expect_request("**/api/generate"):
        turn = chat.ask("Perfume backdrop", images=1)
    chat.finished(turn, 1)
    assert len(sent(chat.page, "api/cutout")) == 1
    (form,) = sent(chat.page, "api/generate")
    assert re.fullmatch("[0-9a-f]{32}", form["cutout"])
    assert "image" not in form


def test_two_strokes_correct_it(chat, screenshots):
    chat.add_photo(file(two_boxes()))
    chat.found().click()
    page, dialog = chat.page, chat.page.get_by_role("dialog")
    product = dialog.get_by_role("img", name="The product as it is cut out")
    before = product.get_attribute("src")
    draw_stroke(page, "Keep", (0.75, 0.7), (0.85, 0.8))
    expect(product).not_to_have_attribute("src", before)
    draw_stroke(page, "Remove", (0.25, 0.3), (0.45, 0.7))
    expect(dialog.get_by_role("button", name="Use it")).to_be_enabled()
    page.wait_for_function("() => sent.at(-1)[1].keep && sent.at(-1)[1].remove")
    expect(dialog.get_by_text("Correcting")).to_have_count(0)
    page.screenshot(path=screenshots / "cutout.png")
    corrected = product.get_attribute("src")
    alpha = Image.open(BytesIO(httpx.get(corrected).content)).getchannel("A")
    assert alpha.getpixel((240, 150)) > 200
    assert alpha.getpixel((100, 90)) < 50
    dialog.get_by_role("button", name="Use it").click()
    turn = chat.ask("Perfume backdrop", images=1)
    chat.finished(turn, 1)
    used = sent(page, "api/generate")[-1]["cutout"]
    assert used in corrected


def test_a_click_is_a_point_to_keep_and_a_dot_to_remove(chat, screenshots):
    chat.add_photo(file(two_boxes()))
    chat.found().click()
    page, dialog = chat.page, chat.page.get_by_role("dialog")
    product = dialog.get_by_role("img", name="The product as it is cut out")
    before = product.get_attribute("src")
    click_at(page, (0.8, 0.75))
    expect(product).not_to_have_attribute("src", before)
    form = sent(page, "api/cutout")[-1]
    assert set(form) == {"cutout", "point"}
    assert [float(share) for share in form["point"].split(",")] == pytest.approx(
        [0.8, 0.75], abs=0.01
    )
    expect(dialog.get_by_text("Correcting")).to_have_count(0)
    assert dialog.locator("canvas").evaluate(PAINTED) > 0
    page.screenshot(path=screenshots / "cutout-point.png")
    corrected = Image.open(BytesIO(httpx.get(product.get_attribute("src")).content))
    # All of the small box, and not only what lies under the click.
    assert corrected.getchannel("A").getpixel((225, 135)) > 200
    # What is removed later takes a point away with it.
    dialog.get_by_role("button", name="Remove", exact=True).click()
    click_at(page, (0.8, 0.75))
    page.wait_for_function("() => sent.at(-1)[1].remove")
    assert set(sent(page, "api/cutout")[-1]) == {"cutout", "remove"}
    expect(dialog.get_by_text("Correcting")).to_have_count(0)
    # And a point may lie on what was removed.
    dialog.get_by_role("button", name="Keep", exact=True).click()
    click_at(page, (0.8, 0.75))
    page.wait_for_function("() => sent.at(-1)[1].point")
    assert set(sent(page, "api/cutout")[-1]) == {"cutout", "point", "remove"}
    expect(dialog.get_by_text("Correcting")).to_have_count(0)
    expect(dialog.get_by_role("alert")).to_be_hidden()
    for _ in range(3):
        dialog.get_by_role("button", name="Undo").click()
    expect(product).to_have_attribute("src", before)


class TestWithFingers:
    @pytest.fixture
    def context_options(self) -> dict[str, object]:
        return {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}

    def test_a_tap_is_a_point(self, chat, screenshots):
        chat.add_photo(file(two_boxes()))
        chat.found().tap()
        page, dialog = chat.page, chat.page.get_by_role("dialog")
        product = dialog.get_by_role("img", name="The product as it is cut out")
        before = product.get_attribute("src")
        page.touchscreen.tap(*place(page, (0.8, 0.75)))
        expect(product).not_to_have_attribute("src", before)
        expect(dialog.get_by_text("Correcting")).to_have_count(0)
        assert set(sent(page, "api/cutout")[-1]) == {"cutout", "point"}
        page.screenshot(path=screenshots / "cutout-point-phone.png")
        dialog.get_by_role("button", name="Remove", exact=True).tap()
        page.touchscreen.tap(*place(page, (0.35, 0.5)))
        page.wait_for_function("() => sent.at(-1)[1].remove")
        expect(dialog.get_by_role("button", name="Use it")).to_be_enabled()
        dialog.get_by_role("button", name="Use it").tap()
        expect(chat.found()).to_be_visible()


def test_a_stroke_that_is_taken_back_leaves_what_was_found(chat):
    chat.add_photo(file(two_boxes()))
    chat.found().click()
    dialog = chat.page.get_by_role("dialog")
    product = dialog.get_by_role("img", name="The product as it is cut out")
    found = product.get_attribute("src")
    draw_stroke(chat.page, "Keep", (0.75, 0.7), (0.85, 0.8))
    expect(product).not_to_have_attribute("src", found)
    dialog.get_by_role("button", name="Undo").click()
    expect(product).to_have_attribute("src", found)


def test_where_no_product_is_found_strokes_are_tried_on_the_photo(chat, expected_failures):
    expected_failures.append("status of 400")
    chat.add_photo(file(Image.new("RGB", (300, 200), (225, 222, 215))))
    expect(chat.found()).to_have_text("No product: mark it")
    chat.found().click()
    dialog = chat.page.get_by_role("dialog")
    expect(dialog.get_by_text("click on it or draw over it")).to_be_visible()
    expect(dialog.get_by_role("button", name="Use it")).to_be_disabled()
    draw_stroke(chat.page, "Keep", (0.3, 0.5), (0.7, 0.5))
    # There is nothing else in this photo to tell it from: the service says so.
    expect(dialog.get_by_text("Keep: 100% of the photo would be the product.")).to_be_visible()
    expect(dialog.get_by_role("button", name="Use it")).to_be_disabled()
    assert set(sent(chat.page, "api/cutout")[-1]) == {"image", "keep"}


def test_a_cut_out_that_is_gone_is_made_anew(chat, expected_failures):
    expected_failures.append("status of 404")
    gone = {"error": "the cut-out does not exist", "code": "not_found", "request_id": "r"}
    chat.page.route("**/api/generate", lambda route: route.fulfill(status=404, json=gone), times=1)
    chat.add_photo()
    expect(chat.found()).to_have_text("Product found")
    chat.finished(chat.ask("Perfume backdrop", images=1), 1)
    first, second = sent(chat.page, "api/generate")
    assert "cutout" in first
    assert "cutout" not in second
    assert second["image"].startswith("image/png")


def test_what_was_kept_is_kept_again(chat):
    chat.add_photo()
    expect(chat.found()).to_have_text("Product found")
    turn = chat.ask("Perfume backdrop", images=1)
    chat.finished(turn, 1)
    chat.open_result(turn, 1).get_by_role("button", name="Same again").click()
    expect(chat.found()).to_have_text("Product found")
    chat.create.click()
    chat.finished(chat.turn, 1)
    first, second = sent(chat.page, "api/generate")
    assert first["cutout"] == second["cutout"]
    assert len(sent(chat.page, "api/cutout")) == 1


def test_a_photo_that_is_too_large_is_reduced_with_a_word(chat):
    limits = {"max_pixels": 200 * 150}

    def smaller(route) -> None:
        answer = route.fetch()
        catalog = answer.json()
        catalog["limits"].update(limits)
        route.fulfill(response=answer, json=catalog)

    chat.page.route("**/api/models", smaller)
    chat.page.reload()
    expect(chat.models).not_to_have_count(0)
    chat.add_photo(file(two_boxes().resize((600, 400))))
    notice = chat.composer.get_by_role("status")
    expect(notice).to_contain_text("reduced to")
    expect(chat.composer.get_by_role("alert")).to_be_hidden()
    expect(chat.found()).to_have_text("Product found")
    assert sent(chat.page, "api/cutout")[0]["image"].startswith("image/webp")


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"name": "IMG_1.HEIC", "mimeType": "image/heic", "buffer": b"heic"}, "Save it as JPEG"),
        (file(Image.new("RGB", (900, 30))), "too long: at most 8 times"),
    ],
)
def test_a_photo_that_cannot_be_used_says_what_to_do(chat, payload, said):
    chat.composer.get_by_label("Photo", exact=True).set_input_files(payload)
    expect(chat.page.get_by_role("alert").get_by_text(said)).to_be_visible()
    assert sent(chat.page, "api/cutout") == []


def test_a_gif_just_works(chat):
    chat.add_photo(file(two_boxes(), "photo.gif", "GIF"))
    expect(chat.composer.get_by_role("status")).to_contain_text("converted")
    chat.prompt.fill("Perfume")
    expect(chat.composer.get_by_role("status")).to_be_hidden()
    expect(chat.found()).to_have_text("Product found")


def test_limits_are_told_before_anything_is_sent(chat):
    chat.add_photo()
    limits = json.loads(chat.page.evaluate("fetch('api/models').then((it) => it.text())"))["limits"]
    chat.composer.get_by_role("spinbutton", name="Images").fill("99")
    chat.prompt.fill("Perfume backdrop")
    chat.create.click()
    said = chat.page.get_by_role("alert")
    expect(said).to_contain_text(f"1 to {limits['max_images']} images")
    chat.composer.get_by_role("spinbutton", name="Images").fill("1")
    chat.prompt.fill("a" * (limits["max_prompt_chars"] + 1))
    chat.create.click()
    expect(said).to_contain_text(f"at most {limits['max_prompt_chars']} characters")
    assert sent(chat.page, "api/generate") == []
