"""Whether products lie where they are asked for, what that costs, and whether a seam is seen.

usage: python -m tests.bench.canvas [--canvases N] [--scenes N] [--json FILE]

Placement: on random canvases the box of a drawn product is where the request says, measured on the
alpha that comes out, in pixels. Cost: CPU milliseconds from a 12-megapixel photo with its product
cut out to a file of 1000 x 1000 pixels. Seam: the demo model paints scenes around the shipped
photo's product on random canvases. The eight pixels around the product are compared with the eight
beyond: the step in colour between them, and their noise. The same is measured around discs at
random places of the same scene, and the product's figure divided by their median: 1 is no seam.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import numpy.typing as npt

from deployments.composition import Canvas, Look, Output, Placement, PositionWord
from deployments.jobs import (
    GeneratedImage,
    GenerationSettings,
    ImageJob,
    Layout,
    Mask,
    Photo,
    Pixels,
    Product,
)
from deployments.recipes import Recipe
from deployments.settings import ModelSettings, StudioSettings
from deployments.studio.finders import ProductFinder
from deployments.studio.finishing import finished
from deployments.studio.fitting import shrink
from deployments.studio.fringes import without_fringe
from deployments.studio.layouts import laid_out
from deployments.studio.placing import place
from deployments.studio.resampling import placed
from deployments.studio.segmentation import find_product
from tests.bench.studio import sample

MAX_SIDE = 1536
RING = 8
PROMPTS = ("on a white marble table", "Change background to forest", "plain pink studio", "snow")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--canvases", type=int, default=50)
    parser.add_argument("--scenes", type=int, default=0, help="how many to paint, 5 s each")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    report = {"placement": placement(options.canvases), "cost": cost()}
    if options.scenes:
        report["seam"] = seam(options.scenes)
    print(json.dumps(report, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def placement(canvases: int) -> dict[str, float]:
    """The largest distance of a box from where it was asked for, in pixels."""
    rng = np.random.default_rng(17)
    worst = {"scale 1": 0.0, "other scales": 0.0}
    kept = 0
    for _ in range(canvases):
        product = _drawn(rng)
        canvas = _random_canvas(rng)
        at, _ = place(product, canvas, max_side=MAX_SIDE)
        if at is None:
            continue
        shown = placed(product, at)
        box = _box(shown.alpha)
        kind = "scale 1" if at.scale == 1 else "other scales"
        kept += at.scale == 1
        worst[kind] = max(worst[kind], *_off(box, canvas, at, _box(product.alpha)))
    return {**worst, "canvases": canvases, "of these at scale 1": kept}


def _drawn(rng: np.random.Generator) -> Product:
    """A product with round and straight sides somewhere in a photo, away from its border."""
    width, height = (int(side) for side in rng.integers(300, 1500, 2))
    alpha = np.zeros((height, width), np.uint8)
    wide, high = (
        int(side * share) for side, share in zip((width, height), rng.random(2), strict=True)
    )
    wide, high = max(40, wide // 2), max(40, high // 2)
    left = int(rng.integers(2, width - wide - 2))
    top = int(rng.integers(2, height - high - 2))
    cv2.rectangle(alpha, (left, top + high // 4), (left + wide, top + high), 255, -1)
    cv2.rectangle(alpha, (left + wide // 3, top), (left + wide // 2, top + high // 2), 255, -1)
    return Product(rng.integers(0, 256, (height, width, 3), np.uint8), alpha)


def _random_canvas(rng: np.random.Generator) -> Canvas:
    size = tuple(int(side) for side in rng.integers(200, MAX_SIDE, 2))
    position: PositionWord | tuple[float, float]
    if rng.random() < 0.5:
        position = get_args(PositionWord)[rng.integers(9)]
    else:
        position = (round(float(rng.uniform(0.2, 0.8)), 3), round(float(rng.uniform(0.2, 0.8)), 3))
    padding = round(float(rng.uniform(0, 0.15)), 3) if rng.random() < 0.5 else None
    return Canvas(size=(size[0], size[1]), padding=padding, position=position)


def _box(alpha: Mask) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is at least half opaque."""
    left, top, wide, high = cv2.boundingRect((alpha >= 128).astype(np.uint8))
    return left, top, left + wide, top + high


def _off(
    box: tuple[int, int, int, int],
    canvas: Canvas,
    at: Placement,
    before: tuple[int, int, int, int],
) -> list[float]:
    """How far the box is from where the request wants it, and its edges from where they lie."""
    sides = (at.width, at.height)
    free = (canvas.padding or 0.0) * min(sides)
    off = []
    for index in (0, 1):
        low, high, side = box[index], box[index + 2], sides[index]
        words = canvas.position.split("-") if isinstance(canvas.position, str) else ()
        if isinstance(canvas.position, tuple):
            off.append((low + high) / 2 - canvas.position[index] * side)
        elif {"left", "top"}.intersection(words) & {("left", "top")[index]}:
            off.append(low - free)
        elif {("right", "bottom")[index]} & set(words):
            off.append(high - (side - free))
        else:
            off.append((low + high - side) / 2)
        edge = (at.left, at.top)[index]
        off.append(low - edge - before[index] * at.scale)
        off.append(high - edge - before[index + 2] * at.scale)
    if canvas.padding is not None and not isinstance(canvas.position, tuple):
        # As large as fits: in one direction both edges lie at what the padding leaves.
        off.append(min(side - 2 * free - (box[i + 2] - box[i]) for i, side in enumerate(sides)) / 2)
    return [abs(one) for one in off]


def cost() -> dict[str, float]:
    """CPU milliseconds to a 1000 x 1000 file, without decoding, the least of five."""
    photo, _ = shrink(Photo(sample(4000, 3000)), None, 2000)
    small, _ = shrink(photo, None, MAX_SIDE)
    product = find_product(small, None, ProductFinder(threads=1))
    canvas = Canvas(size=(1000, 1000), padding=0.1)
    costs = {}
    for background, output in (
        ("#FFFFFF", Output("jpeg")),
        ("blur", Output("jpeg")),
        ("transparent", Output("png")),
    ):

        def made(background: str = background, output: Output = output) -> None:
            layout = Layout(None, canvas, background=background)
            opened = laid_out(photo, product, layout, MAX_SIDE)
            recipe = _recipe(Look(background=background, output=output), canvas)
            finished(None, recipe, opened, StudioSettings(), None, None)

        costs[background] = _least(made)
    return costs


def _least(step: Callable[[], None]) -> float:
    spent = []
    for _ in range(5):
        begun = time.process_time()
        step()
        spent.append(time.process_time() - begun)
    return round(min(spent) * 1000, 1)


def _recipe(look: Look, canvas: Canvas) -> Recipe:
    return Recipe(
        model=None,
        weights=None,
        scheduler=None,
        source="upload",
        source_key="-",
        photo_key="-",
        mask_key=None,
        fidelity=None,
        version="-",
        created="-",
        settings=None,
        control=None,
        look=look,
        canvas=canvas,
    )


def seam(scenes: int) -> dict[str, float]:
    """Colour step and noise around the product, as shares of those around discs elsewhere."""
    paint = _painter()
    photo = Photo(sample(900, 600))
    product = find_product(photo, None, ProductFinder(threads=1))
    rng = np.random.default_rng(5)
    levels, steps, noises = [], [], []
    for number in range(scenes):
        wide, high = (int(side) for side in rng.integers(900, 1300, 2))
        at = (round(float(rng.uniform(0.35, 0.65)), 2), round(float(rng.uniform(0.35, 0.65)), 2))
        canvas = Canvas(size=(wide, high), position=at)
        opened = laid_out(photo, product, Layout(512, canvas), MAX_SIDE)
        if opened.prepared is None or opened.product is None:
            raise RuntimeError("nothing was made ready for the model")
        job = ImageJob("-", GenerationSettings(PROMPTS[number % 4], "", number, 20, 7.5, 0.8))
        small = without_fringe(paint(job, opened.prepared), opened.product.alpha)
        scene = cv2.resize(small, (wide, high), interpolation=cv2.INTER_CUBIC)
        colours = np.asarray(scene, np.float32)
        own = _around(colours, opened.product.alpha > 0)
        others = [_around(colours, disc) for disc in _discs(opened.product.alpha, rng)]
        levels.append(own[0])
        steps.append(own[0] / statistics.median(step for step, _ in others))
        noises.append(own[1] / statistics.median(noise for _, noise in others))
    return {
        "colour step in levels, median": round(statistics.median(levels), 1),
        "colour step, median": round(statistics.median(steps), 2),
        "colour step, most": round(max(steps), 2),
        "noise, median": round(statistics.median(noises), 2),
        "noise, least": round(min(noises), 2),
        "noise, most": round(max(noises), 2),
    }


def _around(colours: npt.NDArray[np.float32], inside: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Step in colour between the two rings around a shape, and noise of the nearer by the other."""
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    near, next_to = (away > 0) & (away <= RING), (away > RING) & (away <= 2 * RING)
    edge = (away > RING - 1) & (away <= RING + 1)
    means = [_mean_within(colours, ring) for ring in (near, next_to)]
    step = float(np.linalg.norm(means[0] - means[1], axis=2)[edge].mean())
    rough = [
        float(np.abs(colours - _mean_within(colours, ring, 1.5))[ring].mean())
        for ring in (near, next_to)
    ]
    return step, rough[0] / max(rough[1], 1e-3)


def _mean_within(
    colours: npt.NDArray[np.float32], ring: npt.NDArray[np.bool_], deviation: float = 4.0
) -> npt.NDArray[np.float32]:
    """Mean colour of what is near and in a ring, float32 [height, width, 3]."""
    weight = ring.astype(np.float32)
    total = cv2.GaussianBlur(colours * weight[..., None], (0, 0), deviation)
    share = cv2.GaussianBlur(weight, (0, 0), deviation)
    return np.asarray(total / np.maximum(share, 1e-4)[..., None], np.float32)


def _discs(alpha: Mask, rng: np.random.Generator) -> list[npt.NDArray[np.bool_]]:
    """Discs at places of a scene where the product is not near."""
    height, width = alpha.shape
    away = cv2.distanceTransform((alpha == 0).astype(np.uint8), cv2.DIST_L2, 5)
    discs: list[npt.NDArray[np.bool_]] = []
    for _ in range(5000):
        radius = int(rng.integers(40, 90))
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        reach = radius + 3 * RING
        if away[y, x] < reach or not (reach < x < width - reach and reach < y < height - reach):
            continue
        disc = np.zeros(alpha.shape, np.uint8)
        cv2.circle(disc, (x, y), radius, 1, -1)
        discs.append(disc > 0)
        if len(discs) == 16:
            break
    return discs


def _painter() -> Callable[..., Pixels]:
    """The demo model, in this process."""
    import torch

    from deployments.diffusion.families.registry import family_of, load_components

    torch.set_num_threads(1)
    settings = ModelSettings(id="demo", name="Demo", threads=1)
    parts = load_components(settings)
    model = family_of(settings).create_model(parts, settings).model

    def paint(job: ImageJob, prepared: object) -> Pixels:
        denoising = model.prepare(job, prepared)  # type: ignore[arg-type]
        for _ in range(job.settings.denoising_steps):
            model.advance(denoising, model.predict([denoising])[0])
        made = model.decode(denoising)
        return made.pixels if isinstance(made, GeneratedImage) else made

    return paint


if __name__ == "__main__":
    main()
