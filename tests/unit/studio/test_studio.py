"""The studio's calls, with the real finder: their answers, and that the event loop stays free."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments.errors import InvalidRequest, ProductNotFound
from deployments.jobs import (
    ControlSettings,
    Fidelity,
    GeneratedImage,
    GenerationSettings,
    Hints,
    Layout,
    OpenedPhoto,
    Photo,
    PreparedPhoto,
    Product,
)
from deployments.recipes import Recipe
from deployments.settings import StudioSettings
from deployments.studio import deployment, finishing, layouts, segmentation
from deployments.studio.deployment import Studio
from deployments.studio.finders import ProductFinder
from deployments.studio.fitting import fit

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)

RECIPE = Recipe(
    model="stable-diffusion",
    weights="/srv/weights",
    scheduler="ddim",
    source="upload",
    source_key="SOURCE-KEY",
    photo_key="PHOTO-KEY",
    mask_key="MASK-KEY",
    fidelity=None,
    version="1.0",
    created="2026-01-01T00:00:00Z",
    settings=GenerationSettings("Forêt 🌲", "", 7, 20, 7.5, 0.8),
    control=ControlSettings(),
)

GENERATED = GeneratedImage(PIXELS, engine_s=1.5, weights="/srv/weights")

SAMPLE = Path(deployment.__file__).parents[1] / "samples/coffee.png"
COFFEE = Photo(np.asarray(Image.open(SAMPLE).convert("RGB")))
FLAT = Photo(np.full((60, 80, 3), 180, np.uint8))

KEPT = Product(PIXELS, PIXELS[..., 0])

finder = ProductFinder()


def opened(product: Product | None = None) -> OpenedPhoto:
    return OpenedPhoto(PreparedPhoto(PIXELS), product)


def studio(**settings: object) -> Studio:
    return Studio(StudioSettings.model_validate(settings), finder=finder)


def background(size: int) -> GeneratedImage:
    """What a model may have made of the sample at a working size."""
    height, width, _ = fit(COFFEE, size).pixels.shape
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return GeneratedImage(pixels, engine_s=1.5, weights="w")


async def test_the_product_of_the_sample_is_found_and_kept() -> None:
    made = studio()
    held = await made.open_upload(COFFEE, None, "auto", Layout(128))
    product, prepared = held.product, held.prepared
    opaque = product.alpha == 255
    assert 0.1 < opaque.mean() < 0.9
    assert np.array_equal(product.pixels[opaque], COFFEE.pixels[opaque])
    assert np.array_equal(prepared.pixels, fit(COFFEE, 128).pixels)
    assert 0 < (prepared.mask == 0).mean() < opaque.mean()
    finished = await made.finish(background(128), RECIPE, held)
    with Image.open(BytesIO(finished.file), formats=("PNG",)) as image:
        result = np.asarray(image)
        told = json.loads(image.info["backdrop:fidelity"])
    assert result.shape == COFFEE.pixels.shape
    assert np.array_equal(result[opaque], COFFEE.pixels[opaque])
    assert not np.array_equal(result[product.alpha == 0], COFFEE.pixels[product.alpha == 0])
    assert finished.fidelity.pixels == 1
    assert told == {"pixels": 1, "shape": finished.fidelity.shape}


async def test_a_product_is_no_larger_than_results_are() -> None:
    made = studio(max_output_side=150)
    held = await made.open_upload(COFFEE, None, "auto", Layout(64))
    assert held.product.alpha.shape == (100, 150)
    assert held.product.pixels.shape == (100, 150, 3)
    finished = await made.finish(background(64), RECIPE, held)
    with Image.open(BytesIO(finished.file)) as image:
        assert image.size == (150, 100)
    assert finished.fidelity.pixels == 1


async def test_a_contact_shadow_is_drawn_as_configured() -> None:
    held = await studio().open_upload(COFFEE, None, "auto", Layout(64))
    files = [
        (await studio(contact_shadow=strength).finish(background(64), RECIPE, held)).file
        for strength in (0, 0, 0.5)
    ]
    assert files[0] == files[1] != files[2]


async def test_a_mask_is_kept_instead_of_what_is_found() -> None:
    mask = np.zeros(COFFEE.pixels.shape[:2], np.uint8)
    mask[20:100, 20:100] = 255
    product = (await studio().open_upload(COFFEE, mask, "auto", Layout(64))).product
    assert (product.alpha[30:90, 30:90] == 255).all()
    assert (product.alpha[120:, 120:] == 0).all()


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (
            np.zeros((80, 60), np.uint8),
            "product_mask: the mask is 60 x 80 pixels, the photo 80 x 60",
        ),
        (np.zeros((60, 80), np.uint8), "product_mask: the mask marks nothing"),
        (np.full((60, 80), 255, np.uint8), "product_mask: the mask marks everything"),
    ],
    ids=["size", "empty", "full"],
)
async def test_a_mask_that_marks_no_product_is_refused(mask: np.ndarray, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        await studio().open_upload(FLAT, mask, "auto", Layout(64))


async def test_what_shows_no_product_is_said() -> None:
    with pytest.raises(ProductNotFound, match=r"no product was found.*product_mask"):
        await studio().open_upload(FLAT, None, "true", Layout(64))
    held = await studio().open_upload(FLAT, None, "auto", Layout(64))
    assert held.product is None
    assert held.prepared.mask is None
    assert held.warnings == (deployment.NOT_FOUND,)


async def test_nothing_is_looked_for_where_nothing_is_kept() -> None:
    held = await studio().open_upload(COFFEE, None, "false", Layout(64))
    assert (held.product, held.warnings) == (None, ())


async def test_a_product_is_restored_bit_for_bit() -> None:
    alpha = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40).astype(np.uint8)
    encoded = await studio().encode_sources(None, opened(Product(PIXELS, alpha)))
    assert encoded.photo is None
    reopened = await studio().open_result(Photo(PIXELS), encoded.product, Layout(64))
    restored = reopened.product
    assert reopened.prepared.mask is not None
    assert np.array_equal(restored.alpha, alpha)
    assert np.array_equal(restored.pixels[alpha > 0], PIXELS[alpha > 0])
    assert restored.pixels.flags.c_contiguous


async def test_nothing_is_composed_where_no_product_is_kept() -> None:
    finished = await studio().finish(GENERATED, RECIPE, opened())
    assert finished.fidelity is None
    with Image.open(BytesIO(finished.file)) as image:
        assert np.array_equal(np.asarray(image), PIXELS)


async def test_prepare_fits_the_photo() -> None:
    prepared = (await studio().open_upload(Photo(PIXELS), None, "false", Layout(128))).prepared
    assert isinstance(prepared, PreparedPhoto)
    assert prepared.pixels.shape == (96, 160, 3)
    assert prepared.mask is None


async def test_finish_writes_the_public_part_of_the_recipe() -> None:
    data = (await studio().finish(GENERATED, RECIPE, opened())).file
    with Image.open(BytesIO(data), formats=("PNG",)) as image:
        assert np.array_equal(np.asarray(image), PIXELS)
        assert image.info["backdrop:prompt"] == "Forêt 🌲"
        assert image.info["backdrop:seed"] == "7"
        marking = {"XML:com.adobe.xmp", "xmp"}
        assert set(image.info) - marking == {f"backdrop:{name}" for name in RECIPE.public()}
    for private in (RECIPE.weights, RECIPE.source_key, RECIPE.photo_key, "MASK-KEY"):
        assert private.encode() not in data


async def test_encode_sources_writes_the_photo_and_nothing_else() -> None:
    encoded = await studio().encode_sources(Photo(PIXELS), opened())
    assert encoded.product is None
    with Image.open(BytesIO(encoded.photo), formats=("PNG",)) as image:
        assert np.array_equal(np.asarray(image), PIXELS)
        assert image.info == {}


MODEL = Layout(64)


@pytest.mark.parametrize(("call", "module", "work"), [
    (lambda studio: studio.open_upload(Photo(PIXELS), None, "auto", MODEL), deployment, "shrink"),
    (lambda studio: studio.open_result(Photo(PIXELS), b"", MODEL), deployment, "limit"),
    (lambda studio: studio.cut_out(Photo(PIXELS), None, Hints(), None), deployment, "shrink"),
    (lambda studio: studio.open_upload(Photo(PIXELS), None, "false", MODEL), layouts, "fit"),
    (lambda studio: studio.open_upload(Photo(PIXELS), None, "auto", MODEL), layouts, "frame"),
    (lambda studio: studio.finish(GENERATED, RECIPE, opened()), finishing, "encode"),
    (lambda studio: studio.finish(GENERATED, RECIPE, opened(KEPT)), finishing, "measure"),
    (lambda studio: studio.encode_sources(Photo(PIXELS), opened()), deployment, "encode_png"),
], ids=["find", "restore", "cut out", "fit", "frame", "encode", "compose", "source"])  # fmt: skip
async def test_no_more_calls_than_threads_and_the_loop_stays_free(
    monkeypatch: pytest.MonkeyPatch, call, module, work: str
) -> None:
    started, release, running, most = threading.Semaphore(0), threading.Event(), [], []

    def slow(*_: object, **__: object) -> object:
        running.append(1)
        most.append(len(running))
        started.release()
        # Were this the event loop's thread, nobody could release it.
        assert release.wait(30)
        running.pop()
        returned = {"measure": Fidelity(1, 1), "shrink": (Photo(PIXELS), None), "limit": KEPT}
        return returned.get(work, "done")

    monkeypatch.setattr(module, work, slow)
    monkeypatch.setattr(segmentation, "find_product", lambda *_: KEPT)
    monkeypatch.setattr(Image, "open", lambda *_, **__: Image.new("RGBA", (4, 4)))
    made = Studio(threads=2, finder=finder)
    calls = [asyncio.create_task(call(made)) for _ in range(5)]
    for _ in range(2):
        assert await asyncio.to_thread(started.acquire, timeout=30)
    assert not started.acquire(blocking=False)
    release.set()
    assert len(await asyncio.gather(*calls)) == 5
    assert max(most) == 2


def test_a_replica_starts_without_torch_and_ray() -> None:
    check = (
        "import sys, deployments.studio.deployment, deployments.ingress.core.uploads;"
        "print({'torch', 'ray', 'diffusers', 'fastapi'} & set(sys.modules))"
    )
    command = [sys.executable, "-W", "error", "-c", check]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"


async def test_a_product_stored_under_a_larger_limit_becomes_smaller() -> None:
    held = await studio().open_upload(COFFEE, None, "auto", Layout(64))
    stored = (await studio().encode_sources(None, held)).product
    smaller = studio(max_output_side=150)
    restored = await smaller.open_result(COFFEE, stored, Layout(64))
    assert restored.product.alpha.shape == (100, 150)
    finished = await smaller.finish(background(64), RECIPE, restored)
    with Image.open(BytesIO(finished.file)) as image:
        assert image.size == (150, 100)
    assert finished.fidelity.pixels == 1
    # What is clear is stored as black, and does not darken the outline.
    outline = (restored.product.alpha > 60) & (restored.product.alpha < 200)
    pixels = Image.fromarray(held.product.pixels).resize((150, 100), Image.Resampling.BOX)
    darker = np.asarray(pixels)[outline].mean() - restored.product.pixels[outline].mean()
    assert abs(darker) < 12
