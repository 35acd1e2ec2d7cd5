"""Contact sheets: pictures in a grid with a line of text under each."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from PIL import ImageDraw


def sheet(
    images: list[npt.NDArray[np.float32]], labels: list[str], columns: int, cell: int = 128
) -> Picture.Image:
    """Lay pictures out row by row.

    Args:
        images: each [H, W, 3] in 0..1.
        labels: as many lines of text.
        columns: pictures a row.
        cell: width and height of a picture on the sheet, in pixels.
    """
    rows = -(-len(images) // columns)
    out = Picture.new("RGB", (columns * (cell + 2), rows * (cell + 15)), "black")
    draw = ImageDraw.Draw(out)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        x, y = (i % columns) * (cell + 2), (i // columns) * (cell + 15)
        pixels = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
        out.paste(
            Picture.fromarray(pixels).resize((cell, cell), Picture.Resampling.LANCZOS), (x, y)
        )
        draw.text((x + 2, y + cell + 1), label[: cell // 6], fill="white")
    return out


def save(picture: Picture.Image, path: Path) -> None:
    """Write a sheet, by the name's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=88) if path.suffix == ".jpg" else picture.save(path)
