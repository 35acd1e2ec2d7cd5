"""Results are saved in the format that somebody wants, alone or together, and stay marked."""

from __future__ import annotations

import zipfile
from io import BytesIO

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Download, Locator, expect

MARK = b"digitalsourcetype/"


@pytest.fixture
def dialog(chat) -> Locator:
    """The large view of the first of two results."""
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=2)
    chat.finished(turn, 2)
    return chat.open_result(turn, 1)


def saved(chat, button: Locator) -> Download:
    with chat.page.expect_download() as download:
        button.click()
    return download.value


def test_an_image_is_saved_in_other_formats(chat, dialog):
    url = chat.url_of(chat.turn, 1)
    made = httpx.get(url).content
    pixels = Image.open(BytesIO(made)).convert("RGB")
    link = dialog.get_by_role("link", name="Download")
    as_made = saved(chat, link)
    assert as_made.suggested_filename.endswith(".png")
    assert as_made.path().read_bytes() == made
    for label, ending in (("JPEG", "jpg"), ("WebP", "webp")):
        dialog.get_by_role("combobox", name="File").select_option(label=label)
        download = saved(chat, link)
        assert download.suggested_filename.endswith(f".{ending}")
        file = download.path().read_bytes()
        with Image.open(BytesIO(file)) as image:
            assert image.format == label.upper()
            assert image.size == pixels.size
            assert MARK in image.info["xmp"]
            difference = [
                abs(one - other)
                for one, other in zip(image.convert("RGB").tobytes(), pixels.tobytes(), strict=True)
            ]
        assert sum(difference) / len(difference) < 6


def test_what_is_transparent_stays_so_in_webp_and_is_white_in_jpeg(chat):
    chat.add_photo()
    chat.composer.get_by_text("Picture", exact=True).click()
    chat.composer.get_by_role("combobox", name="Background", exact=True).select_option(
        label="Transparent"
    )
    chat.create.click()
    chat.finished(chat.turn, 1)
    dialog = chat.open_result(chat.turn, 1)
    corners = {}
    for label in ("JPEG", "WebP"):
        dialog.get_by_role("combobox", name="File").select_option(label=label)
        download = saved(chat, dialog.get_by_role("link", name="Download"))
        with Image.open(download.path()) as image:
            assert MARK in image.info["xmp"]
            corners[label] = image.convert("RGBA").getpixel((0, 0))
    assert min(corners["JPEG"]) > 250
    assert corners["WebP"][3] == 0


def test_all_of_a_turn_are_saved_as_a_zip(chat, dialog):
    archive = saved(chat, dialog.get_by_role("button", name="Download all 2, as a zip"))
    assert archive.suggested_filename == "backdrop.zip"
    with zipfile.ZipFile(archive.path()) as files:
        assert files.testzip() is None
        names = files.namelist()
        assert len(set(names)) == 2
        urls = [chat.url_of(chat.turn, number) for number in (1, 2)]
        assert [files.read(name) for name in names] == [httpx.get(url).content for url in urls]
    dialog.get_by_role("combobox", name="File").select_option(label="JPEG")
    archive = saved(chat, dialog.get_by_role("button", name="Download all"))
    with zipfile.ZipFile(archive.path()) as files:
        for name in files.namelist():
            assert name.endswith(".jpg")
            assert Image.open(BytesIO(files.read(name))).format == "JPEG"


def test_what_cannot_be_fetched_is_told(chat, dialog, expected_failures):
    expected_failures.append("ERR_")
    chat.page.route("**/generated/*", lambda route: route.abort())
    dialog.get_by_role("button", name="Download all").click()
    expect(dialog.get_by_role("alert")).to_contain_text("could not be fetched")
