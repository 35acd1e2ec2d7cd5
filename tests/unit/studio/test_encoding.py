"""PNG files and the text in them."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from deployments.jobs import Pixels
from deployments.studio.encoding import encode_png

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)


def _read(data: bytes) -> tuple[Pixels, dict[str, str]]:
    with PngImageFile(BytesIO(data)) as image:
        return np.asarray(image), dict(image.text)


def test_pixels_survive() -> None:
    pixels, text = _read(encode_png(PIXELS, {}))
    assert np.array_equal(pixels, PIXELS)
    assert text == {}


def test_a_file_without_text_has_no_metadata() -> None:
    data = encode_png(PIXELS, {})
    assert Image.open(BytesIO(data)).info == {}
    assert [kind for kind in (b"tEXt", b"iTXt", b"zTXt", b"eXIf", b"tIME") if kind in data] == []


@pytest.mark.parametrize("value", [
    "", "Perfume", "Grüße, naïve café", "森の中の香水", "🌲 forest 👩🏽‍🎨", "a\nb\tc", "x" * 20_000,
], ids=["empty", "ascii", "latin", "japanese", "emoji", "lines", "long"])  # fmt: skip
def test_text_survives(value: str) -> None:
    pixels, text = _read(encode_png(PIXELS, {"prompt": value, "seed": "7"}))
    assert text == {"backdrop:prompt": value, "backdrop:seed": "7"}
    assert np.array_equal(pixels, PIXELS)


def test_what_png_text_cannot_hold_is_replaced() -> None:
    _, text = _read(encode_png(PIXELS, {"prompt": "a\0b \ud83c c"}))
    assert text == {"backdrop:prompt": "a\ufffdb \ufffd c"}


@given(st.text(st.characters(codec=None)))
def test_any_prompt_gives_a_file_that_decodes(prompt: str) -> None:
    pixels, text = _read(encode_png(PIXELS, {"prompt": prompt}))
    assert np.array_equal(pixels, PIXELS)
    assert len(text["backdrop:prompt"]) == len(prompt)
