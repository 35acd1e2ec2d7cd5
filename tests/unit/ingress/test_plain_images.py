"""Images that no model paints, through the whole service but for the network."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from deployments.settings import IngressSettings, RateSettings
from tests.unit.ingress.memory import key_of, png, surface
from tests.unit.ingress.test_cutouts import cut
from tests.unit.ingress.test_problems import problem

PRODUCT = (20, 60, 220)


async def ask(api, *, headers=None, **fields):
    files = {"image": ("photo.png", png(), "image/png")}
    return await api.client.post("/api/generate", data=fields, files=files, headers=headers)


async def picture(api, url: str) -> Image.Image:
    image = Image.open(BytesIO((await api.client.get(url)).content))
    image.load()
    return image


async def test_a_colour_needs_no_model_and_no_prompt(api):
    answer = await ask(api, background="#FFFFFF", size="200x100")
    body = answer.json()
    assert answer.status_code == 200, body
    assert (body["model_used"], body["prompt_used"], body["seeds"]) == ("none", "", [None])
    assert body["fidelity"] == [{"pixels": 1.0, "shape": 1.0}]
    assert body["warnings"] == []
    assert api.models.jobs == []
    pixels = np.asarray(await picture(api, body["images"][0]))
    assert pixels.shape == (100, 200, 3)
    product = (pixels == PRODUCT).all(axis=2)
    assert product.any()
    assert (pixels[~product] == 255).all()
    recipe = await api.results.load_recipe(key_of(body["images"][0]))
    assert (recipe["model"], recipe["background"]) == (None, "#FFFFFF")
    assert "seed" not in recipe


async def test_it_takes_no_place_of_a_model_and_counts_for_the_rate(tmp_path):
    made = surface(tmp_path, IngressSettings(rates=RateSettings(requests_per_minute=2)))
    async with made.client:
        for _ in range(2):
            assert (await ask(made, background="#000000")).status_code == 200
        problem(await ask(made, background="#000000"), 429, "rate_limited")
        assert made.admission.held("stable-diffusion") == 0


async def test_what_was_meant_for_a_model_is_told(api):
    named = {"prompt": "a beach", "model": "stable-diffusion", "steps": "9"}
    body = (await ask(api, background="blur", **named)).json()
    assert body["model_used"] == "none"
    told = body["warnings"]
    assert told == ["background=blur is painted by no model: prompt, steps had no effect"]


async def test_a_photo_without_a_product_is_refused(api):
    files = {"image": ("photo.png", png(product=None), "image/png")}
    for fields in ({"background": "#FFFFFF"}, {"padding": "0.1", "prompt": "p", "model": "m"}):
        fields = {**fields, "model": "stable-diffusion"}
        answer = await api.client.post("/api/generate", data=fields, files=files)
        problem(answer, 400, "product_not_found")
    assert api.names() == []


async def test_it_comes_as_an_event_too(api):
    answer = await ask(api, background="transparent", headers={"Accept": "text/event-stream"})
    events = [line[7:] for line in answer.text.splitlines() if line.startswith("event: ")]
    assert events == ["image", "done"]
    data = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert data[0]["seed"] is None
    image = await picture(api, data[0]["url"])
    assert image.mode == "RGBA"
    assert np.asarray(image)[0, 0].tolist() == [0, 0, 0, 0]


async def test_an_idempotency_key_gives_the_same_image(api):
    headers = {"Idempotency-Key": "once"}
    first = (await ask(api, background="#FFFFFF", headers=headers)).json()
    assert (await ask(api, background="#FFFFFF", headers=headers)).json() == first
    other = await ask(api, background="#FFFFFE", headers=headers)
    problem(other, 409, "idempotency_conflict")


async def test_a_conversation_goes_on_from_a_plain_image(api):
    url = (await ask(api, background="#FFFFFF", aspect_ratio="1:1")).json()["images"][0]
    varied = (await api.vary(url, num_images=1)).json()
    assert varied["fidelity"][0]["pixels"] == 1.0
    assert (await picture(api, varied["images"][0])).size == (await picture(api, url)).size
    plain = (await api.vary(varied["images"][0], background="#123456")).json()
    assert (await picture(api, plain["images"][0])).getpixel((0, 0)) == (0x12, 0x34, 0x56)


@pytest.mark.parametrize("background", ["#FFFFFF", "transparent", "image"])
async def test_a_stored_photo_is_read_only_where_it_is_seen(api, monkeypatch, background):
    made = (await cut(api)).json()
    files = {"background": (None, background), "cutout": (None, made["cutout"])}
    if background == "image":
        files["background_image"] = ("b.png", png())

    async def read(key: str) -> bytes:
        raise AssertionError(key)

    monkeypatch.setattr(api.sources, "load_photo", read)
    answer = await api.client.post("/api/generate", files=files)
    assert answer.status_code == 200, answer.text


async def test_a_cut_out_is_warned_of_where_it_is_enlarged(api):
    made = (await cut(api)).json()
    fields = {"cutout": made["cutout"], "background": "#FFFFFF", "size": "400x400", "padding": 0.1}
    files = {name: (None, str(value)) for name, value in fields.items()}
    told = (await api.client.post("/api/generate", files=files)).json()["warnings"]
    assert any("enlarged" in warning for warning in told)


def trimmed_at_two_sides() -> bytes:
    """A transparent picture, 60 x 40, whose product reaches from its left to its right border."""
    layers = np.zeros((40, 60, 4), np.uint8)
    layers[10:30] = (*PRODUCT, 255)
    out = BytesIO()
    Image.fromarray(layers).save(out, "PNG")
    return out.getvalue()


async def lies_free(api, answer) -> None:
    """Check that no side of the product lies at the border of the picture."""
    body = answer.json()
    assert answer.status_code == 200, body
    pixels = np.asarray(await picture(api, body["images"][0]))
    columns = np.flatnonzero((pixels == PRODUCT).all(axis=2).any(axis=0))
    assert columns.min() == 199 - columns.max() > 0
    assert not any("cuts the product" in sentence for sentence in body["warnings"])


async def test_a_trimmed_transparent_upload_is_not_cut_in_variations_either(api):
    wide: dict[str, object] = {"background": "#FFFFFF", "size": "200x100", "padding": "0.4"}
    files = {"image": ("photo.png", trimmed_at_two_sides(), "image/png")}
    first = await api.client.post("/api/generate", data=wide, files=files)
    await lies_free(api, first)
    url = first.json()["images"][0]
    assert (await api.results.load_recipe(key_of(url)))["photo_opaque"] is False
    wide["padding"] = 0.4
    second = await api.client.post("/api/variation", json={"image_url": url, **wide})
    await lies_free(api, second)
    third = {"image_url": second.json()["images"][0], **wide}
    await lies_free(api, await api.client.post("/api/variation", json=third))


@pytest.mark.parametrize("again", [True, False], ids=["with its photo", "alone"])
async def test_nor_with_a_cut_out_of_it(api, again):
    files = {"image": ("photo.png", trimmed_at_two_sides(), "image/png")}
    made = (await api.client.post("/api/cutout", files=files)).json()
    fields = {"background": "blur", "size": "200x100", "padding": "0.4", "cutout": made["cutout"]}
    sent = files if again else {"seed": (None, "5")}
    await lies_free(api, await api.client.post("/api/generate", data=fields, files=sent))
