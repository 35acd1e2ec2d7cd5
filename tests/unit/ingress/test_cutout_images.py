"""Images made with a cut-out: its product is kept, nothing is searched, and it must fit."""

from __future__ import annotations

import json
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.unit.ingress.memory import Surface, key_of, png
from tests.unit.ingress.test_cutouts import NOBODY, OTHER, SHOP, cut, keyed, sound, strokes
from tests.unit.ingress.test_problems import problem
from tests.unit.ingress.test_second_try import growing

MARKED = strokes((2, 4, 12, 28))
"""A mask of another part than the finder would find."""


async def generated(
    api: Surface, cutout: str, photo: bytes | None = None, **fields: object
) -> httpx.Response:
    """Images with a cut-out; without a photo of the request's own by default."""
    data = {"prompt": "p", "model": "stable-diffusion", "num_images": 1, "cutout": cutout}
    files = {"seed": (None, "5")}  # a form, whatever it has
    if photo is not None:
        files["image"] = ("a.png", photo)
    headers = fields.pop("headers", None)
    data = {name: str(value) for name, value in {**data, **fields}.items()}
    return await api.client.post("/api/generate", data=data, files=files, headers=headers)


async def pixels(api: Surface, url: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO((await api.client.get(url)).content)))


def recipe(api: Surface, url: str) -> dict[str, object]:
    return json.loads(api.store.get(f"generated/{key_of(url)}.json").data)


@pytest.mark.parametrize("photo", [None, png()])
async def test_the_cut_out_is_what_is_kept(api, photo):
    made = (await cut(api, product_mask=MARKED)).json()
    answer = await generated(api, made["cutout"], photo, num_images=2)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert api.studio.sought == 0
    image = np.asarray(Image.open(BytesIO((await api.client.get(made["image_url"])).content)))
    record = json.loads(api.store.get(f"cutouts/{made['cutout']}.json").data)
    for url, fidelity in zip(body["images"], body["fidelity"], strict=True):
        result = await pixels(api, url)
        kept = image[..., 3] == 255
        assert kept.sum() > 150
        assert np.array_equal(result[kept], image[kept][:, :3])
        assert fidelity["pixels"] == 1.0
        told = recipe(api, url)
        assert told["mask_key"] == made["cutout"]
        assert told["photo_key"] == told["source_key"] == record["photo_key"]
        assert told["source"] == "upload"
        for source in (record["photo_key"], made["cutout"]):
            assert f"references/{source}{key_of(url)}.json" in api.names()
    # The photo is there once.
    assert len([name for name in api.names() if name.startswith("sources/")]) == 1
    assert sound(api)


async def test_the_photo_is_taken_in_whatever_file_it_comes(api):
    cutout = (await cut(api)).json()["cutout"]
    webp = BytesIO()
    Image.open(BytesIO(png())).save(webp, "WEBP", lossless=True)
    assert (await generated(api, cutout, webp.getvalue())).status_code == 200
    before = sorted(api.names())
    other = await generated(api, cutout, png(colour=(200, 30, 31)))
    error = problem(other, 400, "invalid_request")
    assert error.startswith("image: it is not the picture that the cutout")
    assert sorted(api.names()) == before


async def test_results_go_on_without_the_cut_out(api):
    made = (await cut(api, product_mask=MARKED)).json()
    url = (await generated(api, made["cutout"])).json()["images"][0]
    assert (await api.client.delete(made["image_url"])).status_code == 204
    problem(await api.client.get(made["image_url"]), 404, "not_found")
    later = (await api.vary(url, num_images=1)).json()["images"][0]
    assert recipe(api, later)["mask_key"] == made["cutout"]
    assert np.array_equal(
        (await pixels(api, later))[6:26, 4:10], (await pixels(api, url))[6:26, 4:10]
    )
    for image in (url, later):
        assert (await api.client.delete(image)).status_code == 204
    assert api.names() == []


async def test_a_variation_changes_to_the_cut_out(api):
    url = (await api.generate(num_images=1)).json()["images"][0]
    made = (await cut(api, image_url=url, product_mask=MARKED)).json()
    sought = api.studio.sought
    answer = await api.vary(url, num_images=1, cutout=made["cutout"])
    assert answer.status_code == 200, answer.text
    assert api.studio.sought == sought
    (varied,) = answer.json()["images"]
    told = recipe(api, varied)
    assert told["mask_key"] == made["cutout"]
    assert (told["source"], told["source_key"]) == ("result", key_of(url))
    assert told["photo_key"] == recipe(api, url)["photo_key"]
    photo = np.asarray(Image.open(BytesIO(png())))
    assert np.array_equal((await pixels(api, varied))[6:26, 4:10], photo[6:26, 4:10])
    assert sound(api)


async def test_a_cut_out_of_another_photo_is_refused(api):
    url = (await api.generate(num_images=1)).json()["images"][0]
    other = (await cut(api)).json()["cutout"]
    before = sorted(api.names())
    error = problem(await api.vary(url, cutout=other), 400, "invalid_request")
    assert error.startswith("cutout: it was cut out of another photo")
    assert sorted(api.names()) == before


async def test_no_image_is_made_twice_with_a_cut_out(tmp_path):
    made = growing(tmp_path, 0.15, 0.15, 0.15)
    async with made.client:
        await made.generate(num_images=1)
        searched = len(made.models.jobs)
        assert searched == 2  # of a product that was searched for
        cutout = (await cut(made)).json()["cutout"]
        data = {"prompt": "p", "model": "stable-diffusion", "num_images": "1", "cutout": cutout}
        answer = await made.client.post("/api/generate", data=data, files={"image": ("a", png())})
        assert answer.status_code == 200
        assert len(made.models.jobs) == searched + 1


async def test_what_contradicts_a_cut_out_is_refused(api):
    cutout = (await cut(api)).json()["cutout"]
    url = (await generated(api, cutout)).json()["images"][0]
    before = sorted(api.names())
    fields = {"prompt": "p", "model": "stable-diffusion", "cutout": cutout}
    both = {"image": ("a.png", png()), "product_mask": ("m.png", MARKED)}
    marked = await api.client.post("/api/generate", data=fields, files=both)
    assert "cutout and product_mask" in problem(marked, 400, "invalid_request")
    for answer in (
        await generated(api, cutout, preserve_product="false"),
        await api.vary(url, cutout=cutout, preserve_product=False),
    ):
        assert "preserve_product=false" in problem(answer, 400, "invalid_request")
    for wrong in ("x", NOBODY[1:], NOBODY.replace("0", "A")):
        for answer in (await generated(api, wrong), await api.vary(url, cutout=wrong)):
            error = problem(answer, 400, "invalid_request")
            assert "cutout must be the id of a cut-out" in error
            assert "image is required" not in error
    for answer in (await generated(api, NOBODY), await api.vary(url, cutout=NOBODY)):
        assert "cutout: there is no such" in problem(answer, 404, "not_found")
    assert sorted(api.names()) == before


async def test_without_a_cut_out_the_image_is_required(api):
    data = {"prompt": "p", "model": "stable-diffusion", "cutout": ""}
    answer = await api.client.post("/api/generate", data=data, files={"seed": (None, "1")})
    assert problem(answer, 400, "invalid_request") == "image is required"


async def test_another_key_s_cut_out_is_none(tmp_path):
    made = keyed(tmp_path)
    async with made.client:
        cutout = (await cut(made, headers=SHOP)).json()["cutout"]
        answer = await generated(made, cutout, headers=OTHER)
        assert "cutout: there is no such" in problem(answer, 404, "not_found")
        url = (await generated(made, cutout, headers=SHOP)).json()["images"][0]
        body = {"image_url": url, "prompt": "p", "model": "controlnet", "cutout": cutout}
        varied = await made.client.post("/api/variation", json=body, headers=OTHER)
        problem(varied, 404, "not_found")
        varied = await made.client.post("/api/variation", json=body, headers=SHOP)
        assert varied.status_code == 200


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_cut_out_removed_meanwhile(api, monkeypatch, moment):
    """Either the request fails and leaves nothing, or its images have all they need."""
    made = (await cut(api)).json()
    borrow = api.cutouts.borrow

    async def removed(*arguments: object) -> None:
        if moment == "before":
            await api.client.delete(made["image_url"])
        await borrow(*arguments)
        if moment == "after":
            await api.client.delete(made["image_url"])

    monkeypatch.setattr(api.cutouts, "borrow", removed)
    answer = await generated(api, made["cutout"])
    if moment == "before":
        problem(answer, 404, "not_found")
        assert api.names() == []
    else:
        assert answer.status_code == 200
        url = answer.json()["images"][0]
        assert (await api.vary(url, num_images=1)).status_code == 200
        assert sound(api)


async def test_an_idempotency_key_is_for_one_cut_out(api):
    one, other = [(await cut(api)).json()["cutout"] for _ in range(2)]
    headers = {"Idempotency-Key": "k"}
    first = await generated(api, one, headers=headers)
    assert (await generated(api, one, headers=headers)).json() == first.json()
    problem(await generated(api, other, headers=headers), 409, "idempotency_conflict")
