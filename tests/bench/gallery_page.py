"""A page to judge results by eye: photos, masks, results and their numbers in one HTML file.

The page holds its pictures itself and loads nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from deployments.jobs import Fidelity, Mask, Pixels

_SHOWN_SIDE = 640
_DETAIL_SIDE = 128

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 1500px; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin: 2.5rem 0 .6rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0 }
dt { opacity: .65 } dd { margin: 0; font-variant-numeric: tabular-nums }
.row { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 1rem }
figure { margin: 0 } img { width: 100%; height: auto; border-radius: 4px; display: block }
img.detail { image-rendering: pixelated; margin-top: .4rem }
figcaption { margin-top: .3rem; font-size: .9rem; overflow-wrap: anywhere }
.bad { color: #d33; font-weight: 600 }
"""


@dataclass(frozen=True)
class Result:
    """One image of a request.

    Attributes:
        pixels: uint8 [height, width, 3].
        seed: What it was made with.
        seconds: From the request to this image.
        fidelity: How true it is; None where no product was kept.
    """

    pixels: Pixels
    seed: int
    seconds: float
    fidelity: Fidelity | None


@dataclass(frozen=True)
class Turn:
    """One request and what came of it.

    Attributes:
        title: A line above the pictures, such as the photo's name and the model.
        prompt: What was asked for.
        photo: uint8 [height, width, 3]: what it was asked of.
        mask: uint8 [height, width] at the photo's size, 255 the product; None without one.
        results: In the order of their seeds.
        warnings: The service's sentences.
    """

    title: str
    prompt: str
    photo: Pixels
    mask: Mask | None
    results: Sequence[Result]
    warnings: Sequence[str] = ()


def write_gallery(
    path: Path, title: str, facts: Mapping[str, str], turns: Sequence[Turn], shape_floor: float
) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        title: Its heading.
        facts: Name to value, shown under the heading: the model, the machine, the medians.
        turns: In the order they are shown.
        shape_floor: Shapes below it, and any share of pixels below 1, are shown in red.
    """
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1><dl>",
        *(f"<dt>{escape(name)}<dd>{escape(value)}" for name, value in facts.items()),
        "</dl>",
        *(_turn(turn, shape_floor) for turn in turns),
    ]
    path.write_text("".join(parts), encoding="utf-8")


def _turn(turn: Turn, shape_floor: float) -> str:
    figures, detail = [], None
    if turn.mask is None:
        figures.append(_figure(turn.photo, "photo", ""))
    else:
        detail = _busiest_edge(turn.mask)
        figures.append(_figure(turn.photo, "photo", "photo" + _detail(turn.photo, detail)))
        share = np.count_nonzero(turn.mask >= 128) / turn.mask.size
        figures.append(_figure(turn.mask, "mask", f"mask, {share:.0%} of the photo"))
    for number, result in enumerate(turn.results, start=1):
        caption = f"seed {result.seed}, {result.seconds:.1f} s"
        if result.fidelity is not None:
            pixels, shape = result.fidelity.pixels, result.fidelity.shape
            caption += ", " + _number("pixels", pixels, pixels < 1)
            caption += ", " + _number("shape", shape, shape < shape_floor)
        if detail is not None:
            caption += _detail(result.pixels, detail)
        figures.append(_figure(result.pixels, f"result {number}", caption))
    warnings = "".join(f"<p class=bad>{escape(warning)}</p>" for warning in turn.warnings)
    return (
        f"<h2>{escape(turn.title)}</h2><p>“{escape(turn.prompt)}”</p>{warnings}"
        f"<div class=row>{''.join(figures)}</div>"
    )


def _number(name: str, value: float, bad: bool) -> str:
    return f"<span{' class=bad' if bad else ''}>{name} {value:.3f}</span>"


def _figure(pixels: Pixels | Mask, name: str, caption: str) -> str:
    """A picture, made smaller, over a caption that is HTML already."""
    image = Image.fromarray(pixels)
    image.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    return (
        f"<figure><img alt='{name}' src='{_url(image, 'JPEG')}'>"
        f"<figcaption>{caption or name}</figcaption></figure>"
    )


def _detail(pixels: Pixels, centre: tuple[float, float]) -> str:
    """A piece of a picture, pixel by pixel, so that halos show; it is not compressed again."""
    height, width = pixels.shape[:2]
    top = round(centre[0] * height - _DETAIL_SIDE / 2)
    left = round(centre[1] * width - _DETAIL_SIDE / 2)
    top = max(0, min(top, height - _DETAIL_SIDE))
    left = max(0, min(left, width - _DETAIL_SIDE))
    piece = Image.fromarray(pixels[top : top + _DETAIL_SIDE, left : left + _DETAIL_SIDE])
    return f"<img class=detail alt='edge' src='{_url(piece, 'PNG')}'>"


def _busiest_edge(mask: Mask) -> tuple[float, float]:
    """Where most of the outline is in one piece: shares of height and width."""
    outline = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    density = cv2.blur(outline.astype(np.float32), (_DETAIL_SIDE, _DETAIL_SIDE))
    row, column = np.unravel_index(int(density.argmax()), density.shape)
    return float(row + 0.5) / mask.shape[0], float(column + 0.5) / mask.shape[1]


def _url(image: Image.Image, form: str) -> str:
    file = BytesIO()
    image.save(file, form, quality=88)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
