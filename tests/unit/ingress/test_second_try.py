"""An image whose scene grew onto the product is made once more, where it may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from deployments.settings import IngressSettings, StudioSettings
from tests.unit.ingress.memory import Surface, key_of, png, surface
from tests.unit.ingress.test_problems import problem
from tests.unit.ingress.test_product_fields import mask


def grows(widths: Sequence[float]) -> Callable[[np.ndarray, int], None]:
    """Paints a bar of the product's colour beside it: the nth image has the nth width."""

    def paint(pixels: np.ndarray, number: int) -> None:
        height, width, _ = pixels.shape
        pixels[:] = (200, 30, 30)
        right = round(width * (2 / 3 + widths[number]))
        pixels[height // 4 : height * 3 // 4, width // 2 : right] = (20, 60, 220)

    return paint


def growing(folder: object, *widths: float, floor: float = 0.95, **settings: object) -> Surface:
    made = surface(folder, studio=StudioSettings(shape_floor=floor), **settings)
    made.models.paint = grows(widths)
    return made


@pytest.mark.parametrize(
    ("first", "second", "kept"), [(0.15, 0, 1), (0.15, 0.08, 1), (0.08, 0.15, 0)]
)
async def test_the_better_of_two_tries_is_kept(tmp_path, first, second, kept):
    made = growing(tmp_path, first, second)
    async with made.client:
        body = (await made.generate(num_images=1)).json()
    seeds = [job.settings.seed for job in made.models.jobs]
    assert seeds[1] == (seeds[0] + 1) % 2**32
    assert body["seeds"] == [seeds[kept]]
    (fidelity,) = body["fidelity"]
    assert (fidelity["shape"] > 0.99) is (second == 0)
    assert len({job.key for job in made.models.jobs}) == 1
    recipe = made.results.records.load_recipe(key_of(body["images"][0]))
    assert recipe["seed"] == seeds[kept]
    assert recipe["fidelity"] == fidelity


@pytest.mark.parametrize(
    "case", ["switched off", "a seed", "a mask", "transparency", "a variation", "a good one"]
)
async def test_no_second_try(tmp_path, case):
    made = growing(tmp_path, *[0.0 if case == "a good one" else 0.15] * 3)
    if case == "switched off":
        made = growing(tmp_path, 0.15, floor=StudioSettings().shape_floor)
    photo, marked, fields = png(), None, {}
    if case == "a seed":
        fields = {"seed": 7}
    if case in ("a mask", "transparency"):
        box = np.zeros((32, 48), np.uint8)
        box[8:25, 16:33] = 255
        marked = mask(box)
        if case == "transparency":
            file, marked = BytesIO(), None
            Image.fromarray(np.dstack([np.asarray(Image.open(BytesIO(photo))), box])).save(
                file, "PNG"
            )
            photo = file.getvalue()
    if case == "a variation":
        made.models.paint = grows([0, 0.15])
    async with made.client:
        body = (await made.generate(photo, marked, num_images=1, **fields)).json()
        if case == "a variation":
            body = (await made.vary(body["images"][0], num_images=1)).json()
    assert len(made.models.jobs) == (2 if case == "a variation" else 1)
    assert body["seeds"] == [made.models.jobs[-1].settings.seed]
    assert (body["fidelity"][0]["shape"] > 0.95) is (case == "a good one")


async def test_the_place_of_an_image_is_held_until_it_is_made_again(tmp_path):
    settings = IngressSettings(max_images=1, max_waiting_images=1)
    made = growing(tmp_path, 0.15, 0, settings=settings)
    generate = made.models.generate

    def waits_the_second_time(*args, **options):
        if made.models.jobs:
            made.models.gate.clear()
        return generate(*args, **options)

    made.models.generate = waits_the_second_time
    async with made.client:
        first = asyncio.create_task(made.generate(num_images=1))
        while len(made.models.photos) < 2:
            await asyncio.sleep(0.001)
        problem(await made.generate(num_images=1), 429, "overloaded")
        made.models.gate.set()
        assert (await first).status_code == 200
