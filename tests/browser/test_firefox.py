"""The page in Firefox: a photo, four images, and nothing to complain about."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chat import SAMPLE
from tests.browser.conftest import unavailable
from tests.browser.firefox import Firefox, started

NAMES = ("firefox-esr", "firefox")


@pytest.fixture
def firefox(tmp_path: Path) -> Iterator[Firefox]:
    found = os.environ.get("FIREFOX") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        unavailable("no Firefox: install one (Debian's firefox-esr), or name it in FIREFOX")
    with started(found, tmp_path) as running:
        yield running


def test_a_photo_becomes_four_images(firefox, cluster, screenshots):
    firefox.open(cluster.url)
    firefox.wait("document.querySelector('#model').options.length")
    firefox.screenshot(screenshots / "firefox-empty.png")
    firefox.choose("#photo", SAMPLE)
    firefox.wait("document.querySelector('#product span').textContent === 'Product found'")
    firefox.click("#prompt")
    firefox.type("Change background to forest")
    firefox.click("#create")
    made = "[...document.querySelectorAll('article li img')]"
    firefox.wait(f"{made}.length === 4 && {made}.every((image) => image.naturalWidth)")
    assert firefox.evaluate("document.querySelector('#prompt').value") == ""
    firefox.screenshot(screenshots / "firefox-images.png")
    firefox.click("article li button")
    firefox.wait("document.querySelector('dialog[open].viewer .compare input')")
    wide = "document.documentElement.scrollWidth <= innerWidth"
    assert firefox.evaluate(wide) is True
    firefox.screenshot(screenshots / "firefox-viewer.png")
    assert firefox.complaints == []
