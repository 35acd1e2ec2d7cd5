"""Chat turns: what a variation takes from the results before it, and how results are deleted."""

from __future__ import annotations

import asyncio
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from deployments.errors import Unavailable
from deployments.ingress.http.api_keys import KeyRing
from deployments.jobs import Photo
from deployments.studio.fitting import fit
from tests.unit.ingress.memory import Surface, key_of, png, surface
from tests.unit.ingress.test_problems import problem
from tests.unit.ingress.test_product_fields import PLAIN, PRODUCT, SQUARE, image, mask

PHOTO = np.asarray(Image.open(BytesIO(png())))


async def first(api: Surface, photo: bytes | None = None, **fields: object) -> str:
    answer = await api.generate(photo, **{"num_images": 1, "seed": 7, **fields})
    assert answer.status_code == 200, answer.json()
    return answer.json()["images"][0]


async def next_one(api: Surface, url: str, **fields: object) -> str:
    answer = await api.vary(url, **{"num_images": 1, "seed": 90, **fields})
    assert answer.status_code == 200, answer.json()
    return answer.json()["images"][0]


def recipe(api: Surface, url: str) -> dict[str, object]:
    return api.results.records.load_recipe(key_of(url))


def sources(api: Surface) -> list[str]:
    return [name for name in api.names() if name.startswith(("sources/", "masks/"))]


async def test_ten_turns_never_change_the_product(api):
    url = await first(api)
    lineage = recipe(api, url)["photo_key"], recipe(api, url)["mask_key"]
    kept = sources(api)
    for turn in range(10):
        answer = (await api.vary(url, num_images=1, seed=100 + turn)).json()
        url = answer["images"][0]
        result = await image(api, url)
        assert result.shape == PHOTO.shape
        assert np.array_equal(result[PRODUCT], PHOTO[PRODUCT])
        assert np.unique(result[:4]).tolist() == [100 + turn]
        assert answer["fidelity"][0]["pixels"] == 1.0
        assert (recipe(api, url)["photo_key"], recipe(api, url)["mask_key"]) == lineage
    # Nothing was looked for again, and nothing stored twice.
    assert api.studio.sought == 1
    assert sources(api) == kept == [f"masks/{lineage[1]}.png", f"sources/{lineage[0]}.png"]


async def test_a_turn_starts_from_the_rendered_background(api):
    url = await first(api)
    await next_one(api, url)
    started = api.models.photos[-1]
    rendered = fit(Photo(await image(api, url)), 64).pixels
    assert np.array_equal(started.pixels, rendered)
    assert np.array_equal(started.mask, api.models.photos[0].mask)
    assert recipe(api, url)["source"] == "upload"


async def test_a_mask_is_remembered(api):
    url = await next_one(api, await first(api, mask=mask()))
    result = await image(api, url)
    assert np.array_equal(result[8:24, 5:9], PHOTO[8:24, 5:9])
    assert not np.array_equal(result[PRODUCT], PHOTO[PRODUCT])


async def test_a_turn_may_let_go_of_the_product_and_the_next_keep_it_again(api):
    kept = await first(api)
    redrawn = await next_one(api, kept, preserve_product=False)
    assert api.models.photos[-1].mask is None
    assert np.unique(await image(api, redrawn)).tolist() == [90]
    assert recipe(api, redrawn)["fidelity"] is None
    assert recipe(api, redrawn)["mask_key"] == recipe(api, kept)["mask_key"]
    again = await image(api, await next_one(api, redrawn, seed=30))
    assert again.shape == PHOTO.shape
    assert np.array_equal(again[PRODUCT], PHOTO[PRODUCT])
    assert api.studio.sought == 1


@pytest.mark.parametrize("preserve", ["auto", "true"])
async def test_without_a_stored_product_it_is_looked_for_in_the_result(api, preserve):
    url = await first(api, preserve_product="false")
    before = recipe(api, url)
    assert before["mask_key"] is None
    # As if the model had drawn a product.
    api.results.records.save(key_of(url), png(64, 48), before)
    drawn = await image(api, url)
    turned = await next_one(api, url, preserve_product=preserve)
    assert api.studio.sought == 1
    after = recipe(api, turned)
    assert after["photo_key"] == before["photo_key"]
    assert after["mask_key"] not in (None, before["photo_key"])
    assert sources(api) == [f"masks/{after['mask_key']}.png", f"sources/{after['photo_key']}.png"]
    middle = (slice(20, 30), slice(26, 38))
    assert np.array_equal((await image(api, turned))[middle], drawn[middle])
    # From here on it is that product.
    later = await next_one(api, turned)
    assert np.array_equal((await image(api, later))[middle], drawn[middle])
    assert api.studio.sought == 1
    for result in (url, turned, later):
        assert (await api.client.delete(result)).status_code == 204
    assert api.names() == []


async def test_a_result_without_a_product_is_varied_as_it_is(api):
    url = await first(api, PLAIN)
    answer = (await api.vary(url, num_images=1)).json()
    assert answer["fidelity"] == [None]
    assert "no product was found" in answer["warnings"][0]
    assert recipe(api, answer["images"][0])["mask_key"] is None
    refused = await api.vary(url, num_images=1, preserve_product=True)
    assert "product_mask" in problem(refused, 400, "product_not_found")
    # The refused request left no trace.
    references = [name for name in api.names() if name.startswith("references/")]
    assert len(references) == 2


async def test_a_product_that_is_no_longer_stored_is_404(api):
    url = await first(api)
    name = f"masks/{recipe(api, url)['mask_key']}.png"
    api.store.delete(name)
    before = api.names()
    assert name in problem(await api.vary(url), 404, "not_found")
    assert api.names() == before
    assert (await api.vary(url, preserve_product=False)).status_code == 200


@pytest.mark.parametrize(
    "damage", [{"photo_key": None}, {"photo_key": "../x"}, {"mask_key": 7}, {"mask_key": "x"}]
)
async def test_a_damaged_recipe_is_our_fault(api, damage):
    url = await first(api)
    api.results.records.save(key_of(url), png(), {**recipe(api, url), **damage})
    problem(await api.vary(url), 500, "internal_error")
    problem(await api.client.delete(url), 500, "internal_error")


async def test_a_deleted_result_is_gone(api):
    url = await first(api)
    answer = await api.client.delete(url)
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.names() == []
    problem(await api.client.get(url), 404, "not_found")
    problem(await api.client.delete(url), 404, "not_found")
    problem(await api.vary(url), 404, "not_found")
    assert api.names() == []


@pytest.mark.parametrize("key", ["x", "0" * 31, "A" * 32, "0" * 64])
async def test_what_is_no_key_cannot_be_deleted(api, key):
    problem(await api.client.delete(f"/generated/{key}.png"), 404, "not_found")


async def test_what_other_results_need_stays(api):
    one, two = (await api.generate(num_images=2)).json()["images"]
    turned = await next_one(api, one)
    kept = sources(api)
    for url in (two, one):
        assert (await api.client.delete(url)).status_code == 204
        assert sources(api) == kept
    # The product outlives the upload's own results.
    again = await image(api, await next_one(api, turned))
    assert np.array_equal(again[PRODUCT], PHOTO[PRODUCT])
    assert (await api.client.delete(turned)).status_code == 204
    assert len(sources(api)) == 2


async def test_deleting_needs_a_key_where_keys_are_on(tmp_path):
    made = surface(tmp_path, keys=KeyRing({"shop": "s3cret"}))
    headers = {"X-API-Key": "s3cret"}
    async with made.client as client:
        data = {"prompt": "p", "model": "controlnet", "num_images": "1"}
        files = {"image": ("a.png", png())}
        answer = await client.post("/api/generate", data=data, files=files, headers=headers)
        url = answer.json()["images"][0]
        problem(await client.delete(url), 401, "unauthorized")
        problem(await client.delete(url, headers={"X-API-Key": "wrong"}), 401, "unauthorized")
        assert (await client.get(url)).status_code == 200
        assert (await client.delete(url, headers=headers)).status_code == 204
        document = (await client.get("/openapi.json")).json()
    path = document["paths"]["/generated/{key}.png"]
    assert "security" in path["delete"]
    assert "security" not in path["get"]


async def test_pages_may_delete(api):
    answer = await api.client.options(
        f"/generated/{'0' * 32}.png",
        headers={"Origin": "http://localhost:3000", "Access-Control-Request-Method": "DELETE"},
    )
    assert "DELETE" in answer.headers["access-control-allow-methods"]


async def test_a_result_deleted_while_it_is_varied_keeps_what_the_new_ones_need(api):
    url = await first(api)
    api.models.gate.clear()
    turn = asyncio.create_task(api.vary(url, num_images=2, seed=1))
    while len(api.models.photos) < 3:
        await asyncio.sleep(0.001)
    assert (await api.client.delete(url)).status_code == 204
    api.models.gate.set()
    later = await next_one(api, (await turn).json()["images"][0])
    assert np.array_equal((await image(api, later))[PRODUCT], PHOTO[PRODUCT])


async def test_an_image_deleted_while_its_siblings_are_made_keeps_what_they_need(api):
    gate, waiting = asyncio.Event(), []

    class FirstPasses:
        async def wait(self):
            waiting.append(1)
            if len(waiting) > 1:
                await gate.wait()

    api.models.gate = FirstPasses()
    request = asyncio.create_task(api.generate(num_images=2))
    while not (made := [name for name in api.names() if name.endswith(".png")][:1]) or (
        not made[0].startswith("generated/")
    ):
        await asyncio.sleep(0.001)
    assert (await api.client.delete(f"/{made[0]}")).status_code == 204
    gate.set()
    urls = (await request).json()["images"]
    (other,) = [url for url in urls if made[0] not in url]
    result = await image(api, await next_one(api, other))
    assert np.array_equal(result[PRODUCT], PHOTO[PRODUCT])


async def test_a_failed_turn_leaves_nothing(api):
    url = await first(api)
    before = api.names()
    api.models.failures.append(Unavailable("model 'x' is not available"))
    problem(await api.vary(url, num_images=3), 503, "unavailable")
    assert api.names() == before
    api.models.failures.append(Unavailable("model 'x' is not available"))
    problem(await api.generate(png(), mask(SQUARE)), 503, "unavailable")
    assert api.names() == before


async def test_a_result_that_cannot_be_read_is_our_fault(api):
    url = await first(api)
    name = f"generated/{key_of(url)}.png"
    api.store.put(name, api.store.get(name).data[:60], "image/png")
    answer = await api.vary(url, num_images=1)
    assert "the stored image" in problem(answer, 500, "internal_error")
    assert "image:" not in answer.json()["error"]


@pytest.mark.parametrize("made_as", ["png", "jpeg"])
async def test_an_ending_of_another_format_is_no_image(api, made_as):
    made = await api.generate(num_images=1, output_format=made_as)
    url = made.json()["images"][0]
    base, ending = url.rsplit(".", 1)
    other, name = ("jpg", "jpeg") if made_as == "png" else ("webp", "webp")
    names = api.names()
    for later in (False, True):
        headers = {"Prefer": "respond-async"} if later else {}
        body = {"image_url": f"{base}.{other}", "prompt": "forest", "model": "controlnet"}
        answer = await api.client.post("/api/variation", json=body, headers=headers)
        told = problem(answer, 404, "not_found")
        assert told == f"image_url: the image is no {name}; take its URL as the answer had it"
    cut = await api.client.post("/api/cutout", json={"image_url": f"{base}.{other}"})
    problem(cut, 404, "not_found")
    assert api.names() == names
    assert (await api.vary(f"{base}.{ending}", num_images=1)).status_code == 200
