"""POST /api/cutout: what is cut out of what, how it is stored, read and removed, and refusals."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from deployments.errors import Unavailable
from deployments.ingress.http.api_keys import KeyRing
from deployments.settings import IngressSettings
from tests.store_consistency import examine
from tests.unit.ingress.memory import Surface, key_of, png, surface
from tests.unit.ingress.test_problems import problem

PHOTO = np.asarray(Image.open(BytesIO(png())))
PLAIN = png(product=None)
NOBODY = "0" * 32
SHOP = {"X-API-Key": "shop-secret"}
OTHER = {"X-API-Key": "other-secret"}


def keyed(folder: object, settings: IngressSettings | None = None) -> Surface:
    return surface(folder, settings, keys=KeyRing({"shop": "shop-secret", "other": "other-secret"}))


def strokes(box: tuple[int, int, int, int] = (18, 10, 22, 14), scale: int = 1) -> bytes:
    """A stroke over the left, top, right and bottom of the photo, at a multiple of its size."""
    pixels = np.zeros((32, 48), np.uint8)
    left, top, right, bottom = box
    pixels[top:bottom, left:right] = 255
    file = BytesIO()
    Image.fromarray(pixels.repeat(scale, 0).repeat(scale, 1)).save(file, "PNG")
    return file.getvalue()


async def cut(
    api: Surface, photo: bytes | None = None, headers: Any = None, **fields: object
) -> httpx.Response:
    """Cut out of a photo, or of what `image_url` or `cutout` names; bytes are sent as files."""
    files = {
        name: (f"{name}.png", data) for name, data in fields.items() if isinstance(data, bytes)
    }
    if not {"image_url", "cutout"} & fields.keys():
        files["image"] = ("photo.png", png() if photo is None else photo)
    data = {name: value for name, value in fields.items() if isinstance(value, str)}
    if not files:
        files["point"] = (None, data.pop("point", ""))  # a form of texts alone
    return await api.client.post("/api/cutout", data=data, files=files, headers=headers)


async def opened(api: Surface, url: str, **headers: str) -> Image.Image:
    answer = await api.client.get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    return Image.open(BytesIO(answer.content))


def sound(api: Surface) -> bool:
    found = examine(api.store)
    return not (found.wrong or found.unneeded)


async def test_a_cut_out_is_shown(api):
    answer = await cut(api)
    assert answer.status_code == 200
    body = answer.json()
    key = body["cutout"]
    assert body.keys() == {
        "cutout", "image_url", "mask_url", "width", "height", "box", "certainty", "warnings",
    }  # fmt: skip
    assert body["image_url"] == f"http://shop.test/cutouts/{key}.png"
    assert body["mask_url"] == f"http://shop.test/cutouts/{key}-mask.png"
    assert (body["width"], body["height"]) == (48, 32)
    box = body["box"]
    assert abs(box["left"] - 16) <= 1
    assert abs(box["top"] - 8) <= 1
    assert abs(box["width"] - 17) <= 2
    assert abs(box["height"] - 17) <= 2
    assert 0 <= body["certainty"] <= 1
    assert isinstance(body["warnings"], list)
    image, mask = await opened(api, body["image_url"]), await opened(api, body["mask_url"])
    assert (image.mode, mask.mode) == ("RGBA", "L")
    layers = np.asarray(image)
    assert np.array_equal(layers[..., 3], np.asarray(mask))
    assert np.array_equal(layers[10:23, 18:31, :3], PHOTO[10:23, 18:31])
    assert (np.asarray(mask)[10:23, 18:31] == 255).all()
    assert (np.asarray(mask)[:4] == 0).all()


async def test_a_cut_out_is_stored_with_its_photo_and_their_marks(api):
    key = (await cut(api)).json()["cutout"]
    record = json.loads(api.store.get(f"cutouts/{key}.json").data)
    photo_key = record["photo_key"]
    assert photo_key != key
    assert record["mask_key"] == key
    assert sorted(api.names()) == sorted([
        f"cutouts/{key}.json", f"cutouts/{key}.png", f"masks/{key}.png",
        f"references/{photo_key}{key}.json", f"references/{key}{key}.json",
        f"sources/{photo_key}.png",
    ])  # fmt: skip
    stored = np.asarray(Image.open(BytesIO(api.store.get(f"sources/{photo_key}.png").data)))
    assert np.array_equal(stored, PHOTO)
    assert sound(api)


async def test_the_pictures_are_cached_and_conditional_as_results_are(api):
    body = (await cut(api)).json()
    for url in (body["image_url"], body["mask_url"]):
        first = await api.client.get(url)
        assert first.headers["content-type"] == "image/png"
        assert first.headers["cache-control"].startswith("public, max-age=")
        assert first.headers["cross-origin-resource-policy"] == "cross-origin"
        again = await api.client.get(url, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = await api.client.head(url)
        assert head.headers["etag"] == first.headers["etag"]


async def test_a_cut_out_is_removed_by_its_own_url_alone(api):
    made = (await cut(api)).json()
    answer = await api.client.delete(made["mask_url"])
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"
    assert (await api.client.get(made["image_url"])).status_code == 200


async def test_a_mask_and_hints_reach_the_studio(api):
    mask = strokes((2, 4, 12, 28))
    body = (await cut(api, product_mask=mask)).json()
    assert body["certainty"] == 1.0
    assert body["box"]["left"] <= 2
    await cut(api, keep=strokes(), remove=strokes((0, 0, 6, 4), 2), point="0.5,0.4;.25,0")
    given = api.studio.cuts[-1]
    assert given.mask is None
    assert given.hints.keep[12, 20] == 255
    assert given.hints.keep[0, 0] == 0
    # Strokes keep the size they were drawn at.
    assert given.hints.remove.shape == (64, 96)
    assert given.hints.points == ((0.5, 0.4), (0.25, 0.0))
    assert not given.corrects


async def test_the_first_upload_of_a_conversation_is_cut_again(api):
    first = (await api.generate(num_images=1)).json()["images"][0]
    second = (await api.vary(first, num_images=1)).json()["images"][0]
    before = set(api.names())
    for answer in (
        await cut(api, image_url=second),
        await api.client.post("/api/cutout", json={"image_url": second}),
    ):
        body = answer.json()
        image = np.asarray(await opened(api, body["image_url"]))
        assert np.array_equal(image[10:23, 18:31, :3], PHOTO[10:23, 18:31])
        record = json.loads(api.store.get(f"cutouts/{body['cutout']}.json").data)
        recipe = json.loads(api.store.get(f"generated/{key_of(second)}.json").data)
        assert record["photo_key"] == recipe["photo_key"]
    # The photo is not stored again.
    assert not [name for name in set(api.names()) - before if name.startswith("sources/")]
    for url in (first, second):
        assert (await api.client.delete(url)).status_code == 204
    # It stays for the cut-outs.
    assert [name for name in api.names() if name.startswith("sources/")]
    assert sound(api)


async def test_an_earlier_cut_out_is_corrected(api):
    first = (await cut(api)).json()["cutout"]
    answer = await api.client.post("/api/cutout", json={"cutout": first, "point": "0.5,0.5"})
    assert answer.status_code == 200, answer.text
    assert api.studio.cuts[-1].corrects
    second = answer.json()["cutout"]
    assert second != first
    # Without a hint there is nothing to correct, and the photo is searched anew.
    searched = len(api.studio.finder.searched)
    assert (await cut(api, cutout=first)).status_code == 200
    assert not api.studio.cuts[-1].corrects
    assert len(api.studio.finder.searched) > searched
    # Its photo is stored once, and outlives the first.
    assert len([name for name in api.names() if name.startswith("sources/")]) == 1
    assert (await api.client.delete(f"/cutouts/{first}.png")).status_code == 204
    assert (await cut(api, cutout=second, keep=strokes())).status_code == 200
    assert sound(api)


async def test_a_removed_cut_out_is_gone_with_all_of_it(api):
    body = (await cut(api)).json()
    assert (await api.client.delete(body["image_url"])).status_code == 204
    assert api.names() == []
    for url in (body["image_url"], body["mask_url"]):
        assert "cutout" in problem(await api.client.get(url), 404, "not_found")
    assert "cutout" in problem(await api.client.delete(body["image_url"]), 404, "not_found")


@pytest.mark.parametrize("name", [NOBODY, f"{NOBODY}-mask", "x", "x-mask", "A" * 32])
async def test_what_is_no_cut_out_is_not_found(api, name):
    problem(await api.client.get(f"/cutouts/{name}.png"), 404, "not_found")
    # A result is no cut-out.
    key = key_of((await api.generate(num_images=1)).json()["images"][0])
    problem(await api.client.get(f"/cutouts/{key}.png"), 404, "not_found")
    problem(await api.client.delete(f"/cutouts/{key}.png"), 404, "not_found")
    problem(await cut(api, cutout=key), 404, "not_found")


async def test_a_photo_without_a_product_leaves_nothing(api):
    assert "no product" in problem(await cut(api, PLAIN), 400, "product_not_found")
    assert api.names() == []


async def test_what_fails_halfway_leaves_nothing(api, monkeypatch):
    url = (await api.generate(num_images=1)).json()["images"][0]
    before = sorted(api.names())

    async def fail(*arguments: object) -> None:
        raise Unavailable("the storage is not available now", 5)

    monkeypatch.setattr(api.cutouts, "save", fail)
    for fields in ({}, {"image_url": url}):
        problem(await cut(api, **fields), 503, "unavailable")
        assert sorted(api.names()) == before


async def test_a_result_removed_meanwhile_keeps_no_photo(api, monkeypatch):
    url = (await api.generate(num_images=1)).json()["images"][0]
    load = api.results.load_recipe

    async def removed(key: str) -> object:
        monkeypatch.undo()
        recipe = await load(key)
        await api.service.results.delete(key, "png", "")
        return recipe

    monkeypatch.setattr(api.results, "load_recipe", removed)
    problem(await cut(api, image_url=url), 404, "not_found")
    assert api.names() == []
