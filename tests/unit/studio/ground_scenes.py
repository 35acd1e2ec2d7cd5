"""Drawn products whose place on the ground is known."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw

from deployments.jobs import Mask, Product

SIDE = 480
"""Of each picture, in pixels."""
GROUND = 400
"""The row on which most of them stand."""
_FINE = 4


def drawn(alpha: Mask) -> Product:
    """A plain product with this outline, a little darker to its right."""
    across = np.linspace(200, 130, alpha.shape[1])[None, :, None]
    pixels = np.broadcast_to(across * [1, 0.7, 0.5], (*alpha.shape, 3))
    return Product(np.rint(pixels).astype(np.uint8), alpha)


class Sheet:
    """An outline that is drawn four times as large, so that it has soft borders."""

    def __init__(self) -> None:
        self._image = Image.new("L", (SIDE * _FINE, SIDE * _FINE))
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, *points: tuple[float, float], level: int = 255) -> Sheet:
        self._draw.polygon([(x * _FINE, y * _FINE) for x, y in points], fill=level)
        return self

    def box(self, left: float, top: float, right: float, bottom: float, level: int = 255) -> Sheet:
        """Its lower border is at `bottom`, and no pixel below that is touched."""
        at = (left * _FINE, top * _FINE, right * _FINE - 1, bottom * _FINE - 1)
        self._draw.rectangle(at, fill=level)
        return self

    def disc(
        self, x: float, y: float, across: float, down: float | None = None, level: int = 255
    ) -> Sheet:
        down = across if down is None else down
        at = ((x - across) * _FINE, (y - down) * _FINE, (x + across) * _FINE, (y + down) * _FINE)
        self._draw.ellipse(at, fill=level)
        return self

    def turned(self, degrees: float) -> Sheet:
        self._image = self._image.rotate(degrees, Image.Resampling.BILINEAR)
        self._draw = ImageDraw.Draw(self._image)
        return self

    def moved(self, right: float, down: float) -> Sheet:
        fine = self._image.transform(
            self._image.size,
            Image.Transform.AFFINE,
            (1, 0, -right * _FINE, 0, 1, -down * _FINE),
        )
        self._image, self._draw = fine, ImageDraw.Draw(fine)
        return self

    @property
    def alpha(self) -> Mask:
        fine = np.asarray(self._image)
        return np.asarray(cv2.resize(fine, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def box() -> Sheet:
    return Sheet().box(140, 220, 340, GROUND)


def corner_box() -> Sheet:
    """A box seen from a corner, from above: its base rises to both sides."""
    return Sheet().polygon(
        (240, GROUND), (370, 360), (370, 190), (240, 150), (130, 200), (130, 350)
    )


def bottle() -> Sheet:
    """A round base, seen a little from above."""
    sheet = Sheet().box(190, 190, 290, 390).disc(240, 390, 50, 10)
    return sheet.box(222, 90, 258, 170).polygon((222, 168), (258, 168), (290, 192), (190, 192))


def ring() -> Sheet:
    return Sheet().disc(240, 300, 100).disc(240, 300, 78, level=0)


def shoe() -> Sheet:
    """From the side: a heel, an arch and a sole."""
    return Sheet().polygon(
        (100, GROUND),
        (165, GROUND),
        (170, 388),
        (205, 388),
        (225, GROUND),
        (385, GROUND),
        (400, 390),
        (395, 360),
        (330, 340),
        (240, 290),
        (230, 250),
        (110, 240),
        (95, 330),
    )


def table() -> Sheet:
    """Four feet, of which two are further back."""
    sheet = Sheet().polygon((110, 210), (370, 210), (400, 235), (80, 235))
    sheet.box(80, 235, 400, 248)
    for left, bottom in ((84, GROUND), (384, GROUND), (130, 375), (338, 375)):
        sheet.box(left, 240, left + 12, bottom)
    return sheet


def cup() -> Sheet:
    """With a handle, whose underside is in the air."""
    sheet = Sheet().disc(330, 320, 60).disc(330, 320, 42, level=0)
    return sheet.box(160, 240, 310, 395).disc(235, 395, 75, 5)


def lamp() -> Sheet:
    """It hangs on a cord from the upper border."""
    sheet = Sheet().box(236, 0, 244, 160)
    return sheet.polygon((210, 160), (270, 160), (330, 260), (150, 260))


def pen() -> Sheet:
    """It lies askew, as seen from above."""
    return Sheet().box(80, 225, 400, 255).turned(40)


def flat_lay() -> Sheet:
    """Things that lie about, as seen from above."""
    sheet = Sheet().box(90, 80, 200, 180).disc(330, 130, 60).box(280, 240, 400, 270)
    return sheet.disc(140, 290, 50).polygon((250, 330), (330, 420), (300, 440), (220, 350))


def necklace() -> Sheet:
    sheet = (
        Sheet().disc(240, 150, 140, 200).disc(240, 145, 134, 196, level=0).box(0, 0, 480, 150, 0)
    )
    return sheet.disc(240, 362, 18)


STANDING = {
    "box": box,
    "box from a corner": corner_box,
    "bottle": bottle,
    "ring": ring,
    "shoe": shoe,
    "table": table,
    "cup": cup,
}
LYING = {"lamp": lamp, "pen": pen, "flat lay": flat_lay, "necklace": necklace}
