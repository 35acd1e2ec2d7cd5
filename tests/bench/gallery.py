"""Results to judge by eye: runs the service, asks it, and writes photos, masks and results as HTML.

usage: python -m tests.bench.gallery --out FILE [--photos FILE ...] [--images 4] [--turns 10]

For each photo (the shipped ones unless given) a few prompts on every model of the shipped
configuration, and then a conversation of `--turns` variations, each of the one before.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
from PIL import Image, ImageOps

from deployments.jobs import Fidelity, Mask, Photo, Pixels
from deployments.settings import StudioSettings
from deployments.studio.finders import ProductFinder
from deployments.studio.segmentation import ProductNotFound, find_product
from tests.bench.gallery_page import Result, Turn, write_gallery
from tests.bench.service import PHOTO, progress, running

PROMPTS = ("Perfume backdrop", "Change background to forest", "on a white marble table")
CONVERSATION = ("Tropical beach", "Change background to forest", "plain pink studio", "snow")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--photos", type=Path, nargs="*", default=sorted(PHOTO.parent.glob("*.png"))
    )
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()
    finder = ProductFinder()
    turns: list[Turn] = []
    with running() as (url, _), httpx.Client(base_url=url, timeout=300) as http:
        models = [model["id"] for model in http.get("/api/models").json()["models"]]
        for path in options.photos:
            photo = pixels_of(path.read_bytes())
            mask = mask_of(photo, finder)
            for model, prompt in itertools.product(models, PROMPTS):
                progress(f"{path.name}, {model}: {prompt}")
                answer = http.post(
                    "/api/generate",
                    data={
                        "prompt": prompt,
                        "model": model,
                        "num_images": str(options.images),
                        "seed": "1",
                    },
                    files={"image": path.read_bytes()},
                )
                title = f"{path.name}, {model}"
                turns.append(turn(http, title, prompt, photo, mask, answer))
            turns += conversation(http, path, photo, mask, models[0], options.turns)
    shapes = [one.fidelity for each in turns for one in each.results if one.fidelity is not None]
    facts = {
        "images": str(sum(len(each.results) for each in turns)),
        "with the product kept": str(len(shapes)),
        "lowest share of its own pixels": f"{min(one.pixels for one in shapes):.4f}",
        "median shape": f"{statistics.median(one.shape for one in shapes):.3f}",
    }
    write_gallery(options.out, "Backdrop gallery", facts, turns, StudioSettings().shape_floor)
    for name, value in facts.items():
        print(f"{name:<34}{value}")
    print(f"look at {options.out}")


def conversation(
    http: httpx.Client, path: Path, photo: Pixels, mask: Mask | None, model: str, turns: int
) -> list[Turn]:
    """Vary one image again and again."""
    fields = {"prompt": "Perfume backdrop", "model": model, "num_images": "1", "seed": "1"}
    answer = http.post("/api/generate", data=fields, files={"image": path.read_bytes()})
    found = [
        turn(http, f"{path.name}, first of a conversation", fields["prompt"], photo, mask, answer)
    ]
    for number, prompt in zip(range(turns), itertools.cycle(CONVERSATION), strict=False):
        progress(f"{path.name}, turn {number + 1}: {prompt}")
        body = {
            "image_url": answer.json()["images"][0],
            "prompt": prompt,
            "model": model,
            "num_images": 1,
            "seed": number,
        }
        answer = http.post("/api/variation", json=body)
        title = f"{path.name}, turn {number + 1} of a conversation"
        found.append(turn(http, title, prompt, photo, mask, answer))
    return found


def turn(
    http: httpx.Client,
    title: str,
    prompt: str,
    photo: Pixels,
    mask: Mask | None,
    answer: httpx.Response,
) -> Turn:
    """Fetch what came of a request."""
    body = answer.raise_for_status().json()
    taken = answer.elapsed.total_seconds()
    results = []
    for image, seed, fidelity in zip(body["images"], body["seeds"], body["fidelity"], strict=True):
        png = http.get(image).raise_for_status().content
        told = None if fidelity is None else Fidelity(**fidelity)
        results.append(Result(pixels_of(png), seed, taken, told))
    return Turn(title, prompt, photo, mask, results, body["warnings"])


def pixels_of(data: bytes) -> Pixels:
    """uint8 [height, width, 3] of an image file."""
    return np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("RGB"))


def mask_of(photo: Pixels, finder: ProductFinder) -> Mask | None:
    """The mask that the service makes of a photo; None where it finds no product."""
    begun = time.perf_counter()
    try:
        found = find_product(Photo(photo), None, finder)
    except ProductNotFound as error:
        progress(f"no product: {error}")
        return None
    progress(f"product found in {time.perf_counter() - begun:.2f} s")
    return found.alpha


if __name__ == "__main__":
    main()
